//! What the clients of three older services send and read.

use serde_json::{Value, json};

use super::{Ann, CALL, SMS, THEM, assert_refused};
use crate::support::{api::token, house::PRICE};

#[tokio::test]
async fn every_older_client_finds_what_it_reads() {
    let ann = Ann::new().await;
    let from = ann.phone.number.as_str();

    let made = ann
        .ask(
            CALL,
            json!({ "to": THEM, "message": "Hello <Hangup/>", "record": true }),
        )
        .await;
    let call = &made.body["call"];
    assert_eq!(
        (
            &made.body["success"],
            &made.body["sid"],
            &made.body["status"]
        ),
        (&true.into(), &call["sid"], &call["status"])
    );
    assert_eq!(
        (&call["to"], &call["from"], &call["direction"]),
        (&THEM.into(), &from.into(), &"outbound-api".into())
    );
    let asked = ann.house.sandbox.phone_calls()[0].asked.clone().unwrap();
    assert!(
        asked.twiml.contains(
            "Hello &lt;Hangup/&gt;</Say><Record action=\"https://hooks.test/api/twilio/recording\""
        ),
        "{}",
        asked.twiml
    );
    assert_eq!(
        asked.status_callback,
        "https://hooks.test/api/twilio/status/ann#rc=5&rp=all"
    );

    let initiated = ann
        .ask(
            "/api/phone/calls/initiate",
            json!({ "to": THEM, "from": from, "recordCall": false }),
        )
        .await;
    assert_eq!(initiated.body["message"], "Call initiated successfully");
    assert_eq!(initiated.body["data"]["status"], "queued");
    let second = ann.house.sandbox.phone_calls()[1].clone();
    assert_eq!(initiated.body["data"]["sid"], second.sid);
    assert!(!second.asked.unwrap().twiml.contains("<Record"));

    let sent = ann.ask(SMS, json!({ "to": THEM, "body": "one" })).await;
    let message = &sent.body["message"];
    assert_eq!(sent.body["sid"], message["sid"]);
    assert_eq!(
        (&message["body"], &message["numSegments"]),
        (&"one".into(), &"1".into())
    );

    let phone = ann
        .ask(
            "/api/phone/sms/send",
            json!({ "to": THEM, "body": "two", "from": from }),
        )
        .await;
    assert_eq!(phone.body["message"], "SMS sent successfully");
    assert_eq!(phone.body["data"]["from"], from);

    let trip = ann
        .ask(
            "/api/sms/send",
            json!({ "toPhone": THEM, "messageBody": "three", "leadId": "l1", "authToken": "x" }),
        )
        .await;
    let expected: Value = json!({
        "success": true, "messageId": trip.body["sid"], "sid": ann.house.sandbox.phone_messages()[2].sid,
        "status": "queued", "to": THEM, "from": from, "pointsDeducted": 1, "remainingBalance": 97,
        "smsMessageId": trip.body["smsMessageId"],
    });
    assert_eq!(trip.body, expected);
    // The same wish, with nothing under its first names: the same answer.
    let again = ann
        .ask(
            "/api/sms/send",
            json!({ "toPhone": "", "to": THEM, "messageBody": " ", "message": "three" }),
        )
        .await;
    assert_eq!(again.body, expected);
    let kept: Value = ann
        .house
        .service
        .value("select metadata from outbound where metadata is not null")
        .await;
    assert_eq!(kept, json!({ "leadId": "l1" }));

    // What was written is in the lists at once, under the provider's id.
    let listed = ann.api.get("/api/twilio/sms", &ann.token).await;
    assert_eq!(listed.body["messages"].as_array().unwrap().len(), 3);
    assert_eq!(listed.body["messages"][0]["direction"], "outbound");
}

#[tokio::test]
async fn what_is_missing_is_said_in_each_clients_words() {
    let ann = Ann::new().await;
    for (path, body, code, text) in [
        (
            CALL,
            json!({ "to": THEM }),
            "MISSING_PARAMETERS",
            "Phone number and message are required",
        ),
        (
            SMS,
            json!({ "body": "hello" }),
            "MISSING_PARAMETERS",
            "Phone number and message body are required",
        ),
        (
            "/api/sms/send",
            json!({}),
            "MISSING_PARAMETERS",
            "Missing required fields: toPhone/to and messageBody/message",
        ),
        (
            "/api/phone/calls/initiate",
            json!({ "from": THEM }),
            "MISSING_PARAMETERS",
            "to is required",
        ),
        (
            SMS,
            json!({ "to": THEM, "body": "a".repeat(1601) }),
            "MESSAGE_TOO_LONG",
            "A message has at most 1600 characters",
        ),
        (
            SMS,
            json!({ "to": THEM, "body": "a\u{0}b" }),
            "INVALID_MESSAGE",
            "A message holds no NUL character",
        ),
    ] {
        let answer = ann.ask(path, body).await;
        assert_refused(&answer, 400, code);
        assert!(answer.text.contains(text), "{}", answer.text);
    }
    let stream = json!({ "to": THEM, "message": "hello", "enableStream": true });
    assert_refused(&ann.ask(CALL, stream).await, 422, "STREAM_NOT_OFFERED");
    let rich = json!({ "to": THEM, "message": "hello", "channel": "rcs" });
    assert_refused(
        &ann.ask("/api/sms/send", rich).await,
        422,
        "CHANNEL_NOT_OFFERED",
    );
    assert_eq!(ann.made(), (0, 0));
}

#[tokio::test]
async fn what_a_plan_without_a_limit_has_left_is_null_and_not_left_out() {
    let ann = Ann::new().await;
    ann.house.sign_up_to("ben", PRICE);
    ann.house.take_in_all().await;
    for _ in 0..2 {
        let body = json!({ "to": THEM, "message": "hello" });
        let sent = ann.api.post("/api/sms/send", &token("ben"), body).await;
        assert_eq!(sent.status, 200, "{}", sent.text);
        assert_eq!(sent.body.get("remainingBalance"), Some(&Value::Null));
    }
}
