//! What may be used and spent is never passed, and what was set aside comes back.

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{Ann, SMS, assert_refused};
use crate::support::proof;

#[tokio::test]
async fn parallel_sends_never_pass_the_days_cap() {
    // In full: 10,000 sends against ten dollars.
    let (sends, cap): (usize, i64) = proof::size((60, 100_000), (10_000, 10_000_000));
    let ann = Ann::with(|config| {
        config.telephony.outbound.spend_per_day_micros = Some(cap);
    })
    .await;
    let send = async |nth: usize| {
        // Not all to one: of two to the same number the second waits for the first.
        let to = format!("+1415556{nth:04}");
        ann.ask(SMS, json!({ "to": to, "body": "hello" })).await
    };
    let answers: Vec<_> = stream::iter(0..sends)
        .map(send)
        .buffer_unordered(64)
        .collect()
        .await;
    ann.house.settle().await;

    let granted = answers
        .iter()
        .filter(|answer| answer.status.is_success())
        .count();
    let affordable = usize::try_from(cap / 8_300).unwrap();
    assert_eq!((granted, ann.made().1), (affordable, affordable));
    assert_eq!(
        ann.spent().await,
        i64::try_from(affordable).unwrap() * 8_300
    );
    let denied = answers
        .iter()
        .find(|answer| !answer.status.is_success())
        .unwrap();
    assert_refused(denied, 429, "SPEND_CAP_REACHED");
    let after: i64 = denied.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=86_400).contains(&after), "{after}");
    let unit = "parallel sends granted of those that the money is for";
    proof::all_held("sends_within_the_cap", granted, unit, affordable);
}

#[tokio::test]
async fn minutes_are_held_at_the_dial_and_given_back_at_hang_up() {
    let ann = Ann::new().await;
    let answer = ann.call("Hello").await;
    let sid = answer.body["sid"].as_str().unwrap();
    assert_eq!(answer.body["call"]["minutesMax"], 60);
    let asked = ann.house.sandbox.phone_calls()[0].asked.clone().unwrap();
    assert_eq!(asked.seconds_max, Some(3600));
    assert_eq!((ann.held().await, ann.spent().await), (60, 60 * 14_000));

    ann.hang_up(sid, "125").await;
    ann.hang_up(sid, "125").await;

    assert_eq!((ann.held().await, ann.spent().await), (0, 3 * 14_000));
    assert_eq!(ann.used("voice_minutes").await, 3);

    // Nobody took it: nothing was used.
    let answer = ann.call("Hello again").await;
    let params = [
        ("CallSid", answer.body["sid"].as_str().unwrap()),
        ("CallStatus", "no-answer"),
        ("CallDuration", "0"),
    ];
    ann.told("/api/twilio/status/ann", &params).await;
    assert_eq!((ann.held().await, ann.spent().await), (0, 3 * 14_000));
    assert_eq!(ann.used("voice_minutes").await, 3);
}

#[tokio::test]
async fn a_message_is_counted_once_it_is_sent_and_one_that_fails_costs_nothing() {
    let ann = Ann::new().await;
    let long = "a".repeat(161);
    let sent = ann.write(&long).await;
    let failed = ann.write("hello").await;
    let sid =
        |answer: &crate::support::api::Answer| answer.body["sid"].as_str().unwrap().to_owned();
    assert_eq!((ann.held().await, ann.spent().await), (3, 3 * 8_300));
    assert_eq!(ann.used("sms").await, 0);

    // The sandbox says one segment, and what the provider says counts.
    ann.delivered(&sid(&sent), "sent").await;
    ann.delivered(&sid(&sent), "delivered").await;
    ann.delivered(&sid(&failed), "failed").await;

    assert_eq!((ann.held().await, ann.spent().await), (0, 8_300));
    assert_eq!(ann.used("sms").await, 1);
}

#[tokio::test]
async fn an_end_that_is_told_before_the_answer_was_written_down_settles_all_the_same() {
    let ann = Ann::waiting(std::time::Duration::from_millis(100), |config| {
        config.telephony.quiet_time = std::time::Duration::from_secs(60);
    })
    .await;
    let lost = tollkeeper::sandbox::Fault::CutAfterEffect;
    let once = tollkeeper::sandbox::When::First(1);
    ann.house.strike("POST", "Calls.json", once, lost.clone());
    // The first look finds nothing, too.
    let hidden = tollkeeper::sandbox::Fault::ErrorBefore { status: 503 };
    ann.house.strike("GET", "Calls.json", once, hidden);
    ann.call("Hello").await;
    let sid = ann.house.sandbox.phone_calls()[0].sid.clone();

    ann.hang_up(&sid, "61").await;
    ann.house.settle().await;

    assert_eq!(ann.made(), (1, 0));
    assert_eq!((ann.held().await, ann.spent().await), (0, 2 * 14_000));
    assert_eq!(ann.used("voice_minutes").await, 2);
    let state = ann
        .house
        .service
        .value::<String>("select state from outbound")
        .await;
    assert_eq!(state, "settled");
}
