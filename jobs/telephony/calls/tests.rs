use proptest::{prelude::*, sample::subsequence};

use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn report(status: Status, second: i64, seconds: Option<u32>) -> Report {
    Report {
        call_ref: "CA1".into(),
        is_inbound: Some(true),
        from: Some("+14155550199".into()),
        to: Some("+14155550100".into()),
        status: Some(status),
        seconds,
        at: Some(at(second)),
        ..Report::default()
    }
}

fn learn_all(reports: &[&Report]) -> Option<Call> {
    let learnt = |known, said: &&Report| Some(learn(known, said, at(1000)));
    reports.iter().fold(None, learnt)
}

fn life() -> Vec<Report> {
    vec![
        report(Status::Initiated, 0, None),
        report(Status::Ringing, 1, None),
        report(Status::InProgress, 2, None),
        report(Status::Completed, 63, Some(61)),
        // Of a leg, and with nothing but an id, as a recording's report comes.
        Report {
            parent_ref: Some("CA0".into()),
            ..report(Status::Ringing, 1, None)
        },
        Report {
            call_ref: "CA1".into(),
            at: Some(at(5)),
            ..Report::default()
        },
    ]
}

#[test]
fn what_is_over_stays_as_it_ended() {
    let ended = learn_all(&[&report(Status::Completed, 63, Some(61))]);
    for later in [Status::Ringing, Status::InProgress, Status::Failed] {
        let call = learn(ended.clone(), &report(later, 70, Some(5)), at(1000));
        assert_eq!(
            (call.status, call.seconds, call.ended_at),
            (Status::Completed, Some(61), Some(at(63))),
            "{later:?}"
        );
    }
}

#[test]
fn an_end_without_a_length_is_told_its_length_later() {
    let ended = learn_all(&[&report(Status::Completed, 63, None)]).unwrap();
    assert_eq!(minutes(&ended), None);
    let call = learn(
        Some(ended),
        &report(Status::Completed, 63, Some(60)),
        at(99),
    );
    assert_eq!(minutes(&call), Some(MicroUnits::of_units(1)));
}

#[test]
fn each_minute_begun_is_billed_and_only_of_a_call_somebody_took() {
    for (status, seconds, expected) in [
        (Status::Completed, Some(0), None),
        (Status::Completed, Some(1), Some(1)),
        (Status::Completed, Some(60), Some(1)),
        (Status::Completed, Some(61), Some(2)),
        (Status::Completed, Some(125), Some(3)),
        (Status::Completed, None, None),
        (Status::NoAnswer, Some(20), None),
        (Status::Busy, Some(3), None),
        (Status::InProgress, Some(3), None),
    ] {
        let call = learn_all(&[&report(status, 9, seconds)]).unwrap();
        assert_eq!(
            minutes(&call),
            expected.map(MicroUnits::of_units),
            "{status:?} {seconds:?}"
        );
    }
}

#[test]
fn nothing_happens_after_it_was_told() {
    let call = learn(None, &report(Status::Completed, 5000, Some(61)), at(100));
    assert_eq!((call.began_at, call.ended_at), (at(100), Some(at(100))));
}

#[test]
fn every_word_of_the_provider_is_known_and_written_the_same() {
    for (status, name) in Status::ALL {
        assert_eq!((Status::of(name), status.as_str()), (Some(status), name));
    }
    assert_eq!(Status::of("answered"), None);
}

proptest! {
    #[test]
    fn in_any_order_and_any_number_of_times_the_call_is_the_same(
        order in Just(life()).prop_shuffle(),
        again in subsequence((0..6).collect::<Vec<usize>>(), 0..=6),
    ) {
        let copies = again.iter().map(|at| &order[*at]);
        let all: Vec<&Report> = order.iter().chain(copies).collect();
        let life = life();
        let in_turn: Vec<&Report> = life.iter().collect();
        prop_assert_eq!(learn_all(&all), learn_all(&in_turn));
    }
}
