//! Webhooks that nobody signed, that were signed for something else, and that say what cannot be.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tollkeeper::signature::{stripe, twilio};

use super::{
    Case, VOIPMS_TOKEN, all_refused,
    callbacks::{MASTER, MASTER_TOKEN, forged_twilio, voipms},
    case, guarded, request,
};
use crate::support::web::{STRIPE_SECRET, Web};

const NO_STRIPE: (u16, &str) = (400, "Invalid signature");

fn event() -> Vec<u8> {
    json!({ "id": "evt_hostile", "type": "invoice.paid" })
        .to_string()
        .into_bytes()
}

pub fn deep(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

/// What a forger sends to Stripe's URLs.
fn forged_stripe(now: i64) -> Vec<Case> {
    let body = event();
    let good = stripe::sign(STRIPE_SECRET, &body, now);
    let (_, digest) = good.rsplit_once('=').unwrap();
    let mut last = digest.to_owned();
    last.replace_range(63.., if digest.ends_with('0') { "1" } else { "0" });
    let headers = [
        ("an old one", stripe::sign(STRIPE_SECRET, &body, now - 301)),
        ("a very old one", stripe::sign(STRIPE_SECRET, &body, 0)),
        (
            "one of before time",
            stripe::sign(STRIPE_SECRET, &body, i64::MIN),
        ),
        (
            "an old one under a new time",
            format!(
                "t={now},v1={}",
                &stripe::sign(STRIPE_SECRET, &body, now - 9999)[16..]
            ),
        ),
        ("two times", format!("t={},{good}", now - 9999)),
        (
            "a time beyond numbers",
            format!("t=99999999999999999999,v1={digest}"),
        ),
        ("no time", format!("v1={digest}")),
        ("one of another scheme", format!("t={now},v0={digest}")),
        (
            "upper case",
            format!("t={now},v1={}", digest.to_uppercase()),
        ),
        ("one digit changed", format!("t={now},v1={last}")),
        ("one digit less", format!("t={now},v1={}", &digest[..63])),
        (
            "5,000 guesses",
            format!("t={now}{}", format!(",v1={}", "0".repeat(64)).repeat(5000)),
        ),
        ("one of the empty secret", stripe::sign("", &body, now)),
        (
            "one of the API's key",
            stripe::sign("sk_test_tollkeeper", &body, now),
        ),
        (
            "one of another body",
            stripe::sign(STRIPE_SECRET, b"{}", now),
        ),
        (
            "Twilio's",
            twilio::sign(MASTER_TOKEN, "https://hooks.test/stripe/webhook", &[]),
        ),
    ];
    let paths = [
        "/stripe/webhook",
        "/api/stripe/webhook",
        "/stripe-webhook-endpoint",
    ];
    let mut cases: Vec<Case> = paths
        .into_iter()
        .flat_map(|path| {
            headers
                .iter()
                .map(move |(what, header)| (path, what, header))
        })
        .map(|(path, what, header)| {
            let request = request("POST", path, &[("stripe-signature", header)], &event());
            case(format!("{path}, {what}"), request, NO_STRIPE.0, NO_STRIPE.1)
        })
        .collect();
    let two = [
        ("stripe-signature", "t=1,v1=0"),
        ("stripe-signature", good.as_str()),
    ];
    cases.push(case(
        "two headers",
        request("POST", paths[0], &two, &body),
        NO_STRIPE.0,
        NO_STRIPE.1,
    ));
    cases
}

/// Signed by Stripe's secret, and still nothing that could be an event.
fn absurd_events(now: i64) -> Vec<Case> {
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a text", b"\"evt_1\"".to_vec()),
        ("10,000 levels", deep(10_000).into_bytes()),
        ("100,000 open levels", "[".repeat(100_000).into_bytes()),
        (
            "invalid UTF-8",
            b"{\"id\":\"evt_\xff\",\"type\":\"invoice.paid\"}".to_vec(),
        ),
        (
            "half a surrogate",
            br#"{"id":"evt_\ud800","type":"invoice.paid"}"#.to_vec(),
        ),
        (
            "a NUL in the id",
            br#"{"id":"evt\u0000","type":"invoice.paid"}"#.to_vec(),
        ),
        (
            "a NUL in the type",
            br#"{"id":"evt_1","type":"invoice\u0000paid"}"#.to_vec(),
        ),
        (
            "a line break in the id",
            br#"{"id":"evt\r\n1","type":"invoice.paid"}"#.to_vec(),
        ),
        (
            "an empty id",
            br#"{"id":"","type":"invoice.paid"}"#.to_vec(),
        ),
        (
            "an id of 300 letters",
            format!(r#"{{"id":"{}","type":"a"}}"#, "e".repeat(300)).into_bytes(),
        ),
        (
            "a number as the id",
            br#"{"id":1e400,"type":"invoice.paid"}"#.to_vec(),
        ),
        (
            "an object as the id",
            br#"{"id":{"id":"evt_1"},"type":"invoice.paid"}"#.to_vec(),
        ),
        (
            "two ids",
            br#"{"id":"evt_1","id":"evt_2","type":"invoice.paid"}"#.to_vec(),
        ),
        (
            "two types",
            br#"{"id":"evt_1","type":"a","type":"invoice.paid"}"#.to_vec(),
        ),
        ("no type", br#"{"id":"evt_1"}"#.to_vec()),
        ("an event and more", [event(), event()].concat()),
        ("a form", b"id=evt_1&type=invoice.paid".to_vec()),
        (
            "UTF-16",
            "{\"id\":\"e\"}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
    ];
    bodies
        .into_iter()
        .map(|(what, body)| {
            let header = stripe::sign(STRIPE_SECRET, &body, now);
            let request = request(
                "POST",
                "/stripe/webhook",
                &[("stripe-signature", &header)],
                &body,
            );
            case(
                format!("an event that is {what}"),
                request,
                400,
                "not a Stripe event",
            )
        })
        .collect()
}

#[tokio::test]
async fn forged_and_absurd_webhooks_are_refused_and_leave_nothing() {
    let web = Web::with(guarded).await;
    let now = web.service.ctx.clock.now().timestamp();
    let cases = [
        forged_stripe(now),
        absurd_events(now),
        forged_twilio(),
        voipms(),
    ];
    all_refused(
        "hostile_webhooks",
        &web,
        cases.into_iter().flatten().collect(),
    )
    .await;
}

#[tokio::test]
async fn a_replayed_webhook_changes_nothing_and_later_is_refused() {
    let web = Web::with(guarded).await;
    let now = web.service.ctx.clock.now().timestamp();
    let header = stripe::sign(STRIPE_SECRET, &event(), now);
    let replay = async || {
        let request = web
            .post("/api/stripe/webhook")
            .header("stripe-signature", &header);
        request
            .body(event())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(replay().await, 200);
    let contents = crate::support::tables::Contents::of(&web.service.db).await;
    let stored = contents.now(&web.service.db).await;

    assert_eq!(replay().await, 200);
    web.service.ctx.clock.advance(TimeDelta::seconds(302));
    assert_eq!(replay().await, 400);

    assert_eq!(contents.now(&web.service.db).await, stored);
}

#[tokio::test]
async fn absurd_webhooks_that_were_signed_are_kept_whole() {
    let web = Web::with(guarded).await;
    let inside = format!(
        r#"{{"id":"evt_deep","type":"invoice.paid","data":{}}}"#,
        deep(10_000)
    );
    let nul =
        r#"{"id":"evt_nul","type":"customer.subscription.updated","data":{"object":"\u0000"}}"#;
    for body in [inside.as_str(), nul] {
        assert_eq!(
            web.stripe("/stripe/webhook", body.as_bytes())
                .await
                .status(),
            200
        );
    }
    let params = [
        ("AccountSid", MASTER),
        ("Body", "a\0b\r\nc"),
        ("\0", "\u{ffff}"),
        ("CallSid", "CA\0"),
        ("From", ""),
    ];
    let answer = web.twilio("/api/twilio/sms", &params, MASTER_TOKEN).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let message = [
        ("from", "4155550199\0"),
        ("to", "\r\n"),
        ("id", "7\0"),
        ("message", "\0"),
    ];
    let answer = web
        .post(&format!("/webhooks/voipms/sms/{VOIPMS_TOKEN}"))
        .form(&message)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let kept: Vec<Value> = sqlx::query_scalar("select to_jsonb(kind) from webhooks")
        .fetch_all(&web.service.db)
        .await
        .unwrap();
    assert_eq!(kept.len(), 4, "{kept:?}");
}
