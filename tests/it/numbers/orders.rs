//! Orders: intent first, one purchase, and an answer that says what became of it.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tollkeeper::{
    clients::{on_sale::Wanted, twilio::Urls},
    sandbox::{Fault, When, stripe::Status},
};

use super::{Desk, PROVISION, PURCHASE, RELEASE, THE_ONE};
use crate::support::{
    house::{PRICE, TO_NUMBERS},
    web::VOIPMS_TOKEN,
};

#[tokio::test]
async fn one_number_ordered_many_times_at_once_is_bought_once() {
    let desk = Desk::of_ann().await;
    let wanted = desk.on_sale("628", 1).await.remove(0);
    let by_name = json!({ "phoneNumber": wanted });

    let (one_way, other_way) = tokio::join!(
        join_all((0..4).map(|_| desk.post("ann", PURCHASE, by_name.clone()))),
        join_all((0..4).map(|_| desk.post("ann", PROVISION, by_name.clone()))),
    );

    for answer in &one_way {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body, one_way[0].body);
        assert_eq!(answer.body["phoneNumber"], *wanted);
        assert_eq!(answer.body["success"], true);
        assert!(answer.body["sid"].as_str().unwrap().starts_with("PN"));
        assert_eq!(answer.body["capabilities"]["sms"], true);
        assert!(answer.body["dateCreated"].is_string());
    }
    for answer in &other_way {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["data"], other_way[0].body["data"]);
        assert_eq!(answer.body["data"]["phone_number"], *wanted);
        assert_eq!(answer.body["data"]["capabilities"]["SMS"], true);
        let message = "Phone number provisioned successfully";
        assert_eq!(answer.body["message"], message);
    }
    assert_eq!(desk.held(), (2, 2));
    let number = desk.house.sandbox.numbers().pop().unwrap();
    assert!(number.voice_url.ends_with("/api/twilio/voice/ann"));
    assert!(number.friendly_name.starts_with("ord:"));
    desk.close().await;
}

#[tokio::test]
async fn a_key_stands_for_one_order_and_its_answer() {
    let desk = Desk::of_ann().await;
    let on_sale = desk.on_sale("628", 2).await;
    let order = async |number: &str, key: &str| {
        let body = json!({ "phoneNumber": number, "friendlyName": "the shop" });
        let post = Method::POST;
        desk.ask("ann", post, PROVISION, Some(body), key).await
    };

    let first = order(&on_sale[0], "once").await;
    let again = order(&on_sale[0], "once").await;
    let other = order(&on_sale[1], "once").await;
    // Another key, and the number is hers already: it is not bought again.
    let same = order(&on_sale[0], "twice").await;

    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.body["data"]["friendly_name"], "the shop");
    for answer in [&again, &same] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["data"], first.body["data"]);
    }
    assert_eq!(other.status, 422, "{}", other.body);
    assert_eq!(other.body["error"]["code"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(desk.held(), (2, 2));
    desk.close().await;
}

#[tokio::test]
async fn a_lost_answer_buys_no_second_number_for_an_order() {
    for fault in [Fault::CutAfterEffect, Fault::ErrorAfter { status: 500 }] {
        let desk = Desk::of_ann().await;
        let first = When::First(1);
        desk.house.strike("POST", TO_NUMBERS, first, fault.clone());
        let order = async || {
            // Any number there would do: the one that was asked for is looked at before another is.
            let body = Some(json!({ "areaCode": "628" }));
            desk.ask("ann", Method::POST, PROVISION, body, "once").await
        };

        order().await;
        desk.house.settle().await;
        let answer = order().await;

        assert_eq!(answer.status, 200, "{fault:?}: {}", answer.body);
        assert_eq!(desk.held(), (2, 2), "{fault:?}");
        desk.house.sweep().await;
        assert_eq!(desk.house.findings().await, Vec::<String>::new());
        assert_eq!(desk.held(), (2, 2), "{fault:?}");
        desk.close().await;
    }
}

#[tokio::test]
async fn a_number_that_was_sold_meanwhile_is_refused_and_no_other_is_bought_for_it() {
    let desk = Desk::of_ann().await;
    let sold = desk.on_sale("628", 1).await.remove(0);
    let twilio = &desk.house.service.ctx.twilio;
    let stranger = twilio.create_account("somebody else's").await.unwrap();
    let urls = Urls::of_account("https://elsewhere.test", "x");
    let theirs = twilio.buy_number(&stranger.sid, &sold, "theirs", &urls);
    theirs.await.unwrap();
    let before = desk.held();

    let flat = desk.buy("ann", &sold).await;
    let enveloped = desk
        .post("ann", PROVISION, json!({ "phoneNumber": sold }))
        .await;
    // As the number of her plan, too: she has given that back.
    assert_eq!(desk.release_the_only("ann").await.status, 200);
    let bare = desk
        .post("ann", THE_ONE, json!({ "phone_number": sold }))
        .await;
    desk.house.settle().await;

    let message = "The phone number is not available any more; search again and take another one";
    for (answer, code, said) in [
        (&flat, &flat.body["code"], &flat.body["error"]),
        (
            &enveloped,
            &enveloped.body["error"]["code"],
            &enveloped.body["message"],
        ),
        (&bare, &bare.body["code"], &bare.body["error"]),
    ] {
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert_eq!(code, "NUMBER_NOT_AVAILABLE");
        assert_eq!(said, message);
    }
    assert_eq!(desk.held(), (before.0 - 1, before.1), "only given back");
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
    assert_eq!(desk.numbers("ann").await.len(), 0);
    assert_eq!(desk.house.standing("ann").await, "active");
    desk.close().await;
}

#[tokio::test]
async fn an_order_that_names_an_area_takes_the_next_candidate_there_or_none() {
    let desk = Desk::of_ann().await;
    let taken = Fault::Refuse {
        status: 400,
        code: "21422".into(),
    };
    desk.house.strike("POST", TO_NUMBERS, When::First(2), taken);
    let order = async |area: &str, key: &str| {
        let body = json!({ "areaCode": area });
        let post = Method::POST;
        desk.ask("ann", post, PROVISION, Some(body), key).await
    };

    let without = order("628", "").await;
    let bought = order("628", "one").await;
    let again = order("628", "one").await;
    let sold_out = order("212", "two").await;

    assert_eq!(without.body["error"]["code"], "IDEMPOTENCY_KEY_REQUIRED");
    assert_eq!(bought.status, 200, "{}", bought.body);
    let number = bought.body["data"]["phone_number"].as_str().unwrap();
    assert!(number.starts_with("+1628"), "{number}");
    assert_eq!(again.body["data"], bought.body["data"]);
    assert_eq!(sold_out.status, 404, "{}", sold_out.body);
    let message = "No phone numbers available in that area code";
    assert_eq!(sold_out.body["message"], message);
    assert_eq!(desk.held(), (2, 2));
    desk.close().await;
}

#[tokio::test]
async fn twenty_orders_at_once_stay_within_the_limit_of_an_account() {
    let desk = Desk::with(PRICE, |config| {
        config.telephony.numbers_per_account_max = 4;
    })
    .await;
    let on_sale = desk.on_sale("628", 20).await;

    let answers = join_all(on_sale.iter().map(|number| desk.buy("ann", number))).await;

    let refused = answers.iter().filter(|answer| answer.status == 409);
    assert_eq!(refused.count(), 17);
    for answer in answers.iter().filter(|answer| answer.status != 409) {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(desk.held(), (4, 4));
    desk.close().await;
}

#[tokio::test]
async fn numbers_given_back_at_once_are_not_bought_without_end() {
    let desk = Desk::with(PRICE, |config| {
        config.telephony.numbers_per_account_max = 2;
    })
    .await;
    let on_sale = desk.on_sale("628", 4).await;
    let mut statuses = Vec::new();
    for number in &on_sale {
        let bought = desk.buy("ann", number).await;
        statuses.push(bought.status);
        if bought.status != 200 {
            assert!(bought.body.to_string().contains("TOO_MANY_PURCHASES"));
            break;
        }
        let back = json!({ "phoneSid": bought.body["sid"] });
        desk.post("ann", RELEASE, back).await;
        desk.house.settle().await;
    }
    // The plan's own and three: twice as many as may be had at once.
    assert_eq!(statuses, [200, 200, 200, 409]);
    desk.house.pass(TimeDelta::days(31)).await;
    assert_eq!(desk.buy("ann", &on_sale[3]).await.status, 200);
    desk.close().await;
}

#[tokio::test]
async fn only_who_has_telephony_orders_numbers() {
    let desk = Desk::of_ann().await;
    let wanted = desk.on_sale("628", 1).await.remove(0);
    let refused = async |user: &str| {
        let purchase = desk.buy(user, &wanted).await;
        assert_eq!(purchase.status, 403, "{}", purchase.body);
        let message = "No Twilio subaccount found. Please contact support.";
        assert_eq!(purchase.body["error"], message);
        let provision = desk.post(user, THE_ONE, json!({})).await;
        assert_eq!(provision.status, 403, "{}", provision.body);
        let message = "Phone provisioning requires a paid subscription";
        assert_eq!(provision.body["error"], message);
        let search = desk.get(user, "/api/phone/search").await;
        assert_eq!(search.status, 403, "{}", search.body);
        let message = "Phone search requires a paid subscription";
        assert_eq!(search.body["error"], message);
    };

    refused("ben").await;
    let ann = "select subscription_ref from subscriptions where account_id = 'ann'";
    let ann: String = desk.house.service.value(ann).await;
    desk.house.sandbox.set_status(&ann, Status::Canceled);
    desk.house.take_in_all().await;
    refused("ann").await;
    // What is suspended is given back when its grace is over, and not by hand.
    let held = desk.house.sandbox.numbers()[0].sid.clone();
    let release = desk
        .post("ann", super::RELEASE, json!({ "phoneSid": held }))
        .await;

    assert_eq!(release.status, 403, "{}", release.body);
    assert_eq!(desk.held(), (1, 1));
    desk.close().await;
}

#[tokio::test]
async fn an_order_passes_over_what_another_one_reaches_for() {
    let desk = Desk::with(PRICE, |config| {
        config.voipms.callback_tokens = vec![VOIPMS_TOKEN.into()];
        config.telephony.numbers_per_account_max = 1000;
    })
    .await;
    // All that an order is offered, and one of it free.
    let wanted = Wanted {
        country: "US",
        area_code: Some("628"),
        count: 50,
        ..Wanted::default()
    };
    let voipms = desk.house.service.ctx.voipms.as_ref().unwrap();
    let on_sale = voipms.on_sale(&wanted).await.unwrap();
    let mut on_sale: Vec<String> = on_sale.into_iter().map(|one| one.phone_number).collect();
    let free = on_sale.pop().unwrap();
    assert!(on_sale.len() > 5, "{on_sale:?}");
    sqlx::query(
        "insert into phone_numbers (id, account_id, status, friendly_name, phone_number, is_included, provider)
         select gen_random_uuid(), 'ann', 'buying', 'another', number, false, 'voipms'
         from unnest($1::text[]) as number",
    )
    .bind(&on_sale)
    .execute(&desk.house.service.db)
    .await
    .unwrap();

    let body = json!({ "provider": "voipms", "areaCode": "628" });
    let bought = desk.ask("ann", Method::POST, PROVISION, Some(body), "one");
    let bought = bought.await;

    assert_eq!(bought.status, 200, "{}", bought.body);
    assert_eq!(bought.body["data"]["phone_number"], free);
    desk.house.worker.stop().await;
}
