//! Numbers given back, and which of those that are left is the primary one.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::sandbox::{Fault, When, stripe::Status};
use tollkeeper_jobs::ProvisionSubaccount;

use super::{Desk, PROVISION, RELEASE, THE_ONE};
use crate::support::{
    house::{PRICE, TO_NUMBERS},
    until,
};

#[tokio::test]
async fn a_number_given_back_is_gone_and_none_is_bought_until_it_is_asked_for() {
    let desk = Desk::of_ann().await;
    let sid = desk.house.sandbox.numbers()[0].sid.clone();
    let had = desk.house.sandbox.numbers()[0].phone_number.clone();
    let fault = Fault::CutAfterEffect;
    desk.house
        .strike("DELETE", TO_NUMBERS, When::First(1), fault);

    let released = desk.release_the_only("ann").await;
    desk.house.settle().await;
    let again = desk.post("ann", RELEASE, json!({ "phoneSid": sid })).await;
    let path = format!("/api/phone/release?phone_number={had}");
    let named = desk.ask("ann", Method::DELETE, &path, None, "").await;
    let unnamed = desk.release_the_only("ann").await;

    assert!([200, 202].contains(&released.status), "{}", released.body);
    let message = "Phone number released successfully";
    for answer in [&again, &named] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["message"], message);
    }
    assert_eq!(unnamed.status, 400, "{}", unnamed.body);
    assert_eq!(unnamed.body["error"], "No phone number to release");

    // Nothing that goes on by itself buys another one, nor does who has its steps taken again.
    let account_id = "ann".to_owned();
    let again = ProvisionSubaccount { account_id };
    desk.house.service.enqueue(&again).await;
    let ann = "select subscription_ref from subscriptions where account_id = 'ann'";
    let ann: String = desk.house.service.value(ann).await;
    for status in [Status::PastDue, Status::Active] {
        desk.house.sandbox.set_status(&ann, status);
        desk.house.take_in_all().await;
    }
    desk.house.pass(TimeDelta::hours(2)).await;
    desk.house.sweep().await;
    assert_eq!(desk.held(), (0, 1));
    assert_eq!(desk.house.standing("ann").await, "active");
    assert_eq!(desk.house.findings().await, Vec::<String>::new());

    let body = json!({ "area_code": "628" });
    let asked = desk.post("ann", THE_ONE, body.clone()).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let number = asked.body["phone_number"].as_str().unwrap();
    assert!(number.starts_with("+1628"), "{number}");
    let capabilities = json!({ "voice": true, "sms": true, "mms": true });
    assert_eq!(asked.body["capabilities"], capabilities);
    let already = desk.post("ann", THE_ONE, body).await;
    assert_eq!(already.status, 400, "{}", already.body);
    assert_eq!(already.body["error"], "Phone number already provisioned");
    assert_eq!(already.body["phone_number"], number);
    let sold_out = desk.post("ben", THE_ONE, json!({ "area_code": "212" }));
    assert_eq!(sold_out.await.status, 403);
    assert_eq!(desk.held(), (1, 2));
    desk.close().await;
}

#[tokio::test]
async fn the_plans_number_that_was_asked_for_again_comes_though_its_job_is_gone() {
    let desk = Desk::of_ann().await;
    desk.release_the_only("ann").await;
    desk.house.settle().await;
    let busy = Fault::TooManyRequests {
        retry_after_seconds: Some(60),
    };
    desk.house.strike("POST", TO_NUMBERS, When::Always, busy);
    let asked = desk
        .post("ann", THE_ONE, json!({ "area_code": "628" }))
        .await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let lost = "delete from queue.jobs where kind = 'provision_number' and state = 'waiting'";
    until("its job is gone", async || {
        desk.house.service.execute(lost).await == 1
    })
    .await;
    desk.house.sandbox.clear_rules();

    desk.house.pass(TimeDelta::hours(2)).await;
    desk.house.sweep().await;

    assert_eq!(desk.held(), (1, 2));
    desk.close().await;
}

#[tokio::test]
async fn of_the_numbers_in_use_exactly_one_is_the_primary_one() {
    let desk = Desk::of_ann().await;
    let second = desk.on_sale("628", 1).await.remove(0);
    let bought = desk.buy("ann", &second).await.body;
    let first = desk.numbers("ann").await[0].clone();
    let primary = async || -> Vec<Value> {
        let numbers = desk.numbers("ann").await;
        let primary = numbers.iter().filter(|one| one["is_primary"] == true);
        primary.map(|one| one["phone_number"].clone()).collect()
    };
    assert_eq!(primary().await, [first["phone_number"].clone()]);
    let prefer = async |user: &str, number: &Value| {
        let path = format!("/api/twilio/numbers/{}/primary", number.as_str().unwrap());
        desk.ask(user, Method::POST, &path, None, "").await
    };

    let preferred = prefer("ann", &bought["sid"]).await;
    let of_nobody = prefer("ben", &bought["sid"]).await;

    assert_eq!(preferred.status, 200, "{}", preferred.body);
    assert_eq!(preferred.body["number"]["phone_number"], *second);
    assert_eq!(primary().await, [json!(second)]);
    assert_eq!(of_nobody.status, 404, "{}", of_nobody.body);

    // With several, nothing is given back that was not named: a repeated request would take the next one.
    let ambiguous = desk.release_the_only("ann").await;
    assert_eq!(ambiguous.status, 400, "{}", ambiguous.body);
    assert_eq!(ambiguous.body["code"], "AMBIGUOUS_PHONE_NUMBER");
    let body = json!({ "phoneSid": bought["sid"] });
    assert_eq!(desk.post("ann", RELEASE, body).await.status, 200);
    assert_eq!(primary().await, [first["phone_number"].clone()]);
    let gone = prefer("ann", &bought["sid"]).await;
    assert_eq!(gone.status, 409, "{}", gone.body);
    let by_id = prefer("ann", &first["id"]).await;
    assert_eq!(by_id.status, 200, "{}", by_id.body);
    assert_eq!(desk.held(), (1, 2));
    desk.close().await;
}

#[tokio::test]
async fn nobody_gives_back_or_orders_for_somebody_else() {
    let desk = Desk::of_ann().await;
    desk.subscribe("ben", PRICE).await;
    let of_ann = desk.numbers("ann").await.remove(0);
    let wanted = desk.on_sale("628", 1).await.remove(0);

    for name in ["phone_sid", "id", "phone_number"] {
        let body = json!({ "phoneSid": of_ann[name] });
        let answer = desk.post("ben", RELEASE, body).await;
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
    let nobodys = desk
        .post("ben", RELEASE, json!({ "phoneSid": "PN\0" }))
        .await;
    assert_eq!(nobodys.status, 404, "{}", nobodys.body);
    for body in [
        json!({ "clientId": "ann", "phoneNumber": wanted }),
        json!({ "userId": "ann", "phoneNumber": wanted }),
    ] {
        let answer = desk.post("ben", PROVISION, body).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
    }
    let both = json!({ "userId": "ben", "clientId": "ann", "phoneNumber": wanted });
    let both = desk.post("ben", PROVISION, both).await;
    assert_eq!(both.body["error"]["code"], "CONFLICTING_USER_IDS");

    desk.house.settle().await;
    assert_eq!(desk.held(), (2, 2));
    assert_eq!(desk.numbers("ann").await, [of_ann]);
    desk.close().await;
}

#[tokio::test]
async fn who_leaves_keeps_all_numbers_for_the_grace_and_gives_all_of_them_back_after_it() {
    let desk = Desk::of_ann().await;
    for number in desk.on_sale("628", 2).await {
        assert_eq!(desk.buy("ann", &number).await.status, 200);
    }
    let cancel = async || {
        let current = "select subscription_ref from subscriptions where account_id = 'ann' and status = 'active'";
        let current: String = desk.house.service.value(current).await;
        desk.house.sandbox.set_status(&current, Status::Canceled);
        desk.house.take_in_all().await;
    };

    cancel().await;
    assert_eq!(desk.numbers("ann").await.len(), 0);
    desk.house.pass(TimeDelta::days(6)).await;
    desk.subscribe("ann", PRICE).await;
    assert_eq!(desk.numbers("ann").await.len(), 3);
    assert_eq!(desk.held(), (3, 3));

    cancel().await;
    desk.house.pass(TimeDelta::days(8)).await;

    assert_eq!(desk.held(), (0, 3));
    assert_eq!(desk.house.standing("ann").await, "released");
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
    desk.close().await;
}
