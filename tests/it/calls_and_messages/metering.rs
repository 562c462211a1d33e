//! Minutes and segments, counted once under the provider's own ids.

use futures_util::future::join_all;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{house_of_ann, used};
use crate::support::{
    phone::{CALLER, sid},
    proof::seed,
};

#[tokio::test]
async fn a_calls_minutes_are_metered_once_in_whatever_order_its_callbacks_come() {
    let (house, web, phone) = house_of_ann().await;
    let mut dice = StdRng::seed_from_u64(seed("callback_orders"));
    let told = [
        ("initiated", None),
        ("ringing", None),
        ("in-progress", None),
        ("completed", Some("61")),
    ];
    for nth in 0..24 {
        let call = sid("CA", nth);
        let mut order = [told, told].concat();
        order.shuffle(&mut dice);
        for (status, seconds) in order {
            phone.call(&web, &call, status, seconds).await;
        }
    }
    house.settle().await;

    let calls: Vec<(String, Option<i32>, Option<String>, i64)> = sqlx::query_as(
        "select status, seconds, direction, count(*) from calls where account_id = 'ann' group by 1, 2, 3",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    let expected = ("completed".into(), Some(61), Some("inbound".into()), 24);
    assert_eq!(calls, [expected]);
    assert_eq!(used(&house.service, "voice_minutes").await, 2 * 24);
    let counted: i64 = house
        .service
        .value("select (quantity / 1000000)::bigint from usage_counters where feature = 'voice_minutes' and per = 'cycle'")
        .await;
    assert_eq!(counted, 2 * 24);
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn copies_of_a_callback_at_the_same_moment_are_metered_once() {
    let (house, web, phone) = house_of_ann().await;
    let call = sid("CA", 1);
    join_all((0..20).map(|_| phone.call(&web, &call, "completed", Some("600")))).await;
    // And the same end told once more, with another sequence number: no copy of the first.
    let params = [
        ("CallSid", call.as_str()),
        ("CallStatus", "completed"),
        ("CallDuration", "600"),
        ("SequenceNumber", "7"),
    ];
    let again = phone.tell(&web, "/api/twilio/call-status", &params).await;
    assert_eq!(again.status(), 200);
    house.settle().await;

    assert_eq!(used(&house.service, "voice_minutes").await, 10);
}

#[tokio::test]
async fn who_was_not_reached_pays_nothing() {
    let (house, web, phone) = house_of_ann().await;
    for (nth, status) in ["busy", "no-answer", "failed", "canceled"]
        .iter()
        .enumerate()
    {
        phone.call(&web, &sid("CA", nth), status, Some("0")).await;
    }
    phone
        .call(&web, &sid("CA", 9), "completed", Some("0"))
        .await;
    house.settle().await;

    assert_eq!(used(&house.service, "voice_minutes").await, 0);
    let calls: i64 = house.service.value("select count(*) from calls").await;
    assert_eq!(calls, 5);
}

#[tokio::test]
async fn a_message_is_metered_by_its_segments_and_kept_with_its_text() {
    let (house, web, phone) = house_of_ann().await;
    let text = "<script>alert(1)</script> & \u{1F600} \u{0}";
    let message = sid("SM", 1);
    let params = [
        ("MessageSid", message.as_str()),
        ("SmsStatus", "received"),
        ("From", CALLER),
        ("To", &phone.number),
        ("Body", text),
        ("NumSegments", "3"),
        ("NumMedia", "1"),
    ];
    for _ in 0..3 {
        let answer = phone.tell(&web, "/api/twilio/sms/ann", &params).await;
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains("<Message>Thank you.</Message>")
        );
    }
    // A report of one that was sent elsewhere: nobody said how many segments it has.
    let report = [
        ("MessageSid", "SM0000000000000000000000000000beef"),
        ("MessageStatus", "delivered"),
        ("From", &phone.number),
        ("To", CALLER),
    ];
    phone.tell(&web, "/api/twilio/sms-status", &report).await;
    house.settle().await;

    type Kept = (Option<String>, Option<String>, Option<i32>, i32, String);
    let kept: Vec<Kept> = sqlx::query_as(
        "select direction, body, segments, media, status from messages order by message_ref",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    let expected = [
        (
            Some("inbound".into()),
            Some("<script>alert(1)</script> & \u{1F600} ".into()),
            Some(3),
            1,
            "received".into(),
        ),
        (Some("outbound".into()), None, None, 0, "delivered".into()),
    ];
    assert_eq!(kept, expected);
    assert_eq!(used(&house.service, "sms").await, 3);
}
