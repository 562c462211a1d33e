use proptest::prelude::*;

use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn report(status: Status) -> Report {
    Report {
        message_ref: "SM1".into(),
        from: Some("+14155550100".into()),
        to: Some("+14155550199".into()),
        status: Some(status),
        ..Report::default()
    }
}

fn learn_all(reports: &[Report]) -> Message {
    let learnt = |known, said: &Report| Some(learn(known, said, at(0)));
    reports.iter().fold(None, learnt).unwrap()
}

#[test]
fn what_was_delivered_is_never_sent_again_and_may_be_read() {
    for (first, then, expected) in [
        (Status::Delivered, Status::Sent, Status::Delivered),
        (Status::Delivered, Status::Failed, Status::Delivered),
        (Status::Delivered, Status::Read, Status::Read),
        (Status::Read, Status::Delivered, Status::Read),
        (Status::Queued, Status::Sent, Status::Sent),
        (Status::Received, Status::Received, Status::Received),
    ] {
        let message = learn_all(&[report(first), report(then)]);
        assert_eq!(message.status, expected, "{first:?}, then {then:?}");
    }
}

#[test]
fn segments_are_billed_and_only_of_what_was_sent() {
    for (status, segments, expected) in [
        (Status::Received, Some(3), Some(3)),
        (Status::Received, Some(0), Some(1)),
        (Status::Delivered, Some(1), Some(1)),
        (Status::Undelivered, Some(1), Some(1)),
        (Status::Delivered, None, None),
        (Status::Queued, Some(1), None),
        (Status::Failed, Some(1), None),
    ] {
        let message = learn_all(&[Report {
            segments,
            ..report(status)
        }]);
        assert_eq!(
            billed(&message),
            expected.map(MicroUnits::of_units),
            "{status:?} {segments:?}"
        );
    }
}

#[test]
fn a_wish_is_the_whole_message_in_any_letters() {
    for (body, expected) in [
        ("STOP", Some(Wish::Stop)),
        (" stop. ", Some(Wish::Stop)),
        ("Unsubscribe", Some(Wish::Stop)),
        ("Start!", Some(Wish::Start)),
        ("yes", Some(Wish::Start)),
        ("help", Some(Wish::Help)),
        ("please stop by at five", None),
        ("", None),
    ] {
        assert_eq!(wish(body, None), expected, "{body:?}");
    }
    assert_eq!(wish("arrêt", Some("STOP")), Some(Wish::Stop));
}

#[test]
fn every_word_of_the_provider_is_known_and_written_the_same() {
    for (status, name) in Status::ALL {
        assert_eq!((Status::of(name), status.as_str()), (Some(status), name));
    }
}

proptest! {
    #[test]
    fn in_any_order_the_message_is_the_same(
        order in Just([
            report(Status::Queued),
            report(Status::Sending),
            report(Status::Sent),
            report(Status::Delivered),
            report(Status::Sent),
        ]).prop_shuffle(),
    ) {
        let message = learn_all(&order);
        prop_assert_eq!(message.status, Status::Delivered);
        prop_assert_eq!(message.to.as_deref(), Some("+14155550199"));
    }
}
