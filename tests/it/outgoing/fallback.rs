//! What leaves from the main account's number is made up from the lists there, each user's own and nobody else's.

use serde_json::json;
use tollkeeper::{
    clients::twilio::NewMessage,
    sandbox::{Fault, When},
};
use tollkeeper_jobs::ReconcilePhoneLogs;

use super::{Ann, CALL, SMS, THEM};
use crate::support::{api::token, house::SECRETARY};

const MASTER: &str = "AC00000000000000000000000000000001";
const SHARED: &str = "+18455550100";

/// Both may use the main account's number.
async fn beside_ben() -> Ann {
    let ann = Ann::with(|config| {
        config.telephony.outbound.fallback_number = SHARED.parse().ok();
    })
    .await;
    ann.house.sign_up_to("ben", SECRETARY);
    ann.house.take_in_all().await;
    ann
}

#[tokio::test]
async fn a_callback_that_was_lost_about_a_fallback_is_made_up_from_the_main_accounts_lists() {
    let ann = beside_ben().await;
    let house = &ann.house;
    // Neither has a number any more, and ann not even a subaccount.
    for sql in [
        "update phone_numbers set status = 'released'",
        "update twilio_subaccounts set status = 'closed' where account_id = 'ann'",
    ] {
        house.service.execute(sql).await;
    }
    let ask = async |user: &str, path: &str, body| {
        let answer = ann.api.post(path, &token(user), body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["sid"].as_str().unwrap().to_owned()
    };
    let anns_call = ask("ann", CALL, json!({ "to": THEM, "message": "Hello" })).await;
    let bens_call = ask("ben", CALL, json!({ "to": THEM, "message": "Hello" })).await;
    let bens_message = ask("ben", SMS, json!({ "to": THEM, "body": "Hello" })).await;
    // Somebody else's, by a program of the main account's own.
    let theirs = NewMessage {
        from: SHARED,
        to: THEM,
        body: "Hello",
        status_callback: "https://elsewhere.test",
    };
    let twilio = &house.service.ctx.twilio;
    let theirs = twilio.send_message(MASTER, &theirs).await.unwrap();
    for (sid, seconds) in [(&anns_call, 125), (&bens_call, 61)] {
        house.sandbox.end_call(sid, seconds).await;
    }
    for sid in [&bens_message, &theirs.sid] {
        house.sandbox.deliver(sid).await;
    }

    for _ in 0..2 {
        let tick_at = house.sandbox.now();
        house.service.enqueue(&ReconcilePhoneLogs { tick_at }).await;
        house.settle().await;
    }

    let used: Vec<(String, String, i64)> = sqlx::query_as(
        "select account_id, feature, (sum(quantity) / 1000000)::bigint from usage_events group by 1, 2 order by 1, 2",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    let expected = [
        ("ann", "voice_minutes", 3),
        ("ben", "sms", 1),
        ("ben", "voice_minutes", 2),
    ];
    assert_eq!(
        used,
        expected.map(|(user, feature, count)| (user.to_owned(), feature.to_owned(), count))
    );
    assert_eq!(ann.spent().await, 5 * 14_000 + 8_300);
    assert_eq!(ann.held().await, 0);
    let known: i64 = house
        .service
        .value("select (select count(*) from calls) + (select count(*) from messages)")
        .await;
    assert_eq!(known, 3, "nothing of anybody else's");
    assert_eq!(house.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_call_from_the_shared_number_is_not_found_in_another_users_call() {
    let ann = beside_ben().await;
    let house = &ann.house;
    let sql = "update phone_numbers set status = 'released'";
    house.service.execute(sql).await;
    let body = json!({ "to": THEM, "message": "Hello" });
    ann.api.post(CALL, &token("ben"), body.clone()).await;
    house.settle().await;

    house.strike("POST", "Calls.json", When::First(1), Fault::CutBeforeEffect);
    ann.api.post(CALL, &token("ann"), body).await;
    house.settle().await;

    let sids: Vec<String> = sqlx::query_scalar("select ext_ref from outbound order by asked_at")
        .fetch_all(&house.service.db)
        .await
        .unwrap();
    let made = house.sandbox.phone_calls();
    assert_eq!(sids, [made[0].sid.clone(), made[1].sid.clone()]);
    assert_eq!(made.len(), 2);
}
