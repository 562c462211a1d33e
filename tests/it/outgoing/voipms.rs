//! What leaves from a number at VoIP.ms: short messages, each once, and no calls.

use std::time::Duration;

use serde_json::json;
use tollkeeper::sandbox::{Fault, Provider, Rule, When, stripe::Status};

use super::{Ann, CALL, SMS, THEM, assert_refused};
use crate::support::api::Answer;

const DID: &str = "+14155550100";

impl Ann {
    /// She has a number there, too.
    async fn with_did() -> Ann {
        let ann = Ann::new().await;
        ann.house.sandbox.own_did(DID, None);
        ann.house
            .service
            .execute(
                "insert into phone_numbers (id, account_id, provider, status, phone_number, number_ref, is_included, purchased_at)
                 values (gen_random_uuid(), 'ann', 'voipms', 'active', '+14155550100', 'there', false, now())",
            )
            .await;
        ann
    }

    async fn write_from_there(&self, body: &str) -> Answer {
        let wish = json!({ "from": DID, "to": THEM, "body": body });
        self.ask(SMS, wish).await
    }

    /// What left from there, ever.
    fn sent(&self) -> Vec<String> {
        let texts = self.house.sandbox.texts().into_iter();
        let sent = texts.filter(|text| !text.is_inbound);
        sent.map(|text| text.text).collect()
    }
}

#[tokio::test]
async fn a_message_from_a_number_at_voipms_leaves_from_there_and_is_counted_once() {
    let ann = Ann::with_did().await;

    let answer = ann.write_from_there("Hello").await;
    assert_eq!(answer.body["sid"], "voipms_10001", "{}", answer.text);
    assert!(
        !answer.text.contains("sandbox@example.com"),
        "{}",
        answer.text
    );
    assert_eq!(ann.sent(), ["Hello"]);
    assert_eq!(ann.made(), (0, 0));
    assert_eq!((ann.used("sms").await, ann.held().await), (1, 0));
    assert_eq!(ann.spent().await, 7_500);

    // Twilio carries what this number does not, where none is named.
    for (path, wish, status, code) in [
        (
            CALL,
            json!({ "from": DID, "to": THEM, "message": "Hello" }),
            422,
            "CALLS_NOT_OFFERED",
        ),
        (
            SMS,
            json!({ "from": DID, "to": THEM, "body": "é".repeat(81) }),
            400,
            "MESSAGE_TOO_LONG",
        ),
    ] {
        assert_refused(&ann.ask(path, wish).await, status, code);
    }
    let wishes = "select count(*) from outbound";
    assert_eq!(ann.house.service.value::<i64>(wishes).await, 1);
    ann.call("Hello").await;
    assert_eq!(ann.made(), (1, 0));
}

#[tokio::test]
async fn a_lost_answer_of_voipms_sends_once() {
    let ann = Ann::with_did().await;
    let faults = [
        Fault::CutAfterEffect,
        Fault::ErrorAfter { status: 500 },
        Fault::CutBeforeEffect,
        Fault::LateExecution {
            delay: Duration::from_millis(120),
        },
        // Whether it was sent, this word does not say.
        Fault::Refuse {
            status: 200,
            code: "sms_failed".into(),
        },
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let first = When::First(1);
        let rule = Rule::on(Provider::Voipms, "POST", "/sendSMS", first, fault.clone());
        ann.house.sandbox.add_rules(vec![rule]);
        let body = format!("Hello {at}");
        ann.write_from_there(&body).await;
        ann.house.settle().await;
        ann.house.sandbox.clear_rules();

        let again = ann.write_from_there(&body).await;
        assert!(again.text.contains("voipms_"), "{fault:?}: {}", again.text);
        assert_eq!(ann.sent().len(), at + 1, "{fault:?}");
        assert_eq!(ann.used("sms").await, at as i64 + 1, "{fault:?}");
    }
    assert_eq!(ann.house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn who_is_suspended_writes_from_nowhere_and_finds_the_number_there_as_it_was() {
    let ann = Ann::with_did().await;
    let service = &ann.house.service;
    let subscription: String = service
        .value("select subscription_ref from subscriptions where account_id = 'ann'")
        .await;
    assert!(
        ann.house
            .sandbox
            .set_status(&subscription, Status::Canceled)
    );
    ann.house.take_in_all().await;
    assert_eq!(ann.house.standing("ann").await, "suspended");

    let refused = ann.write_from_there("Hello").await;
    assert_refused(&refused, 403, "TELEPHONY_SUSPENDED");
    let states: Vec<String> =
        sqlx::query_scalar("select provider || ' ' || status from phone_numbers order by provider")
            .fetch_all(&service.db)
            .await
            .unwrap();
    assert_eq!(states, ["twilio suspended", "voipms active"]);
    assert_eq!(ann.sent(), Vec::<String>::new());
}
