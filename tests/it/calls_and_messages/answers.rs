//! Who is answered, and who would rather not be.

use chrono::TimeDelta;

use serde_json::json;

use super::{
    house_of_ann,
    settings::{Desk, SETTINGS},
};
use crate::support::{
    api::token,
    phone::{CALLER, sid},
};

#[tokio::test]
async fn who_says_stop_is_answered_again_only_after_start() {
    let (house, web, phone) = house_of_ann().await;
    let mut nth = 0;
    let mut says = async |body: &str| {
        nth += 1;
        // Nobody writes that often: an hour lies between.
        house.sandbox.advance(TimeDelta::hours(1));
        let said = phone.message(&web, &sid("SM", nth), CALLER, body).await;
        house.settle().await;
        said.contains("<Message>")
    };
    let mut heard = Vec::new();
    for body in ["hello", "STOP", "hello?", "HELP", "unstop", "hello again"] {
        heard.push(says(body).await);
    }
    assert_eq!(heard, [true, false, false, false, false, true]);
}

#[tokio::test]
async fn no_machine_is_answered_for_ever() {
    let (house, web, phone) = house_of_ann().await;
    let mut heard = Vec::new();
    for nth in 0..5 {
        let said = phone
            .message(&web, &sid("SM", nth), CALLER, "auto-reply")
            .await;
        house.settle().await;
        heard.push(said.contains("<Message>"));
    }
    assert_eq!(heard, [true, true, true, false, false]);
    let abroad = "+448005550100";
    let others = ["12345", "BANK", phone.number.as_str(), abroad];
    for (nth, from) in others.iter().enumerate() {
        let said = phone.message(&web, &sid("MM", nth), from, "hello").await;
        assert!(!said.contains("<Message>"), "{from} was answered");
    }
}

#[tokio::test]
async fn a_reply_is_not_sent_once_the_money_of_the_day_is_used_up() {
    // A minute and a message: less than a minute's is none.
    let desk =
        Desk::with(|config| config.telephony.outbound.spend_per_day_micros = Some(20_000)).await;
    let hear = async |nth| {
        let message = sid("SM", nth);
        let said = desk.phone.message(&desk.web, &message, CALLER, "hello");
        said.await.contains("<Message>")
    };
    assert!(hear(1).await);

    let ask = json!({ "to": CALLER, "body": "Hello" });
    let sent = desk
        .api
        .post("/api/twilio/send-sms", &token("ann"), ask)
        .await;
    assert!(sent.status.is_success(), "{}", sent.body);

    assert!(!hear(2).await);
}

/// The services that this one replaces thanked under some of their URLs, and under others they never did.
#[tokio::test]
async fn a_url_that_never_thanked_replies_only_where_that_was_switched_on() {
    let desk = Desk::of_ann().await;
    let mut nth = 0;
    let mut hear = async |path: &str| {
        nth += 1;
        // Somebody else each time: who writes often is not answered.
        let (message, from) = (sid("SM", nth), format!("+1415555{nth:04}"));
        desk.phone
            .message_at(path, &desk.web, &message, &from, "hello")
            .await
    };
    let quiet = ["/api/twilio/sms-webhook", "/sms/inbound", "/sms/ann"];
    for path in quiet {
        let said = hear(path).await;
        assert!(said.ends_with("<Response></Response>"), "{path}: {said}");
    }
    assert!(hear("/api/twilio/sms/ann").await.contains("<Message>"));

    let settings = json!({ "autoResponse": {"enabled": true, "text": "Later."} });
    assert_eq!(desk.put(SETTINGS, settings).await.status, 200);
    for path in quiet {
        let said = hear(path).await;
        assert!(said.contains("<Message>Later.</Message>"), "{path}: {said}");
    }
}
