//! Time that nobody owes for, and what it leaves to be owed.

use super::*;

#[test]
fn what_is_paused_is_waived_from_the_pause_to_the_resumption() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-16"));
    let since = at("2026-09-20 08:00");
    one.pause = Some(Pause { since, until: None });
    stored.look(&[one.clone()], at("2026-09-20 08:01"));
    stored.look(&[one.clone()], at("2026-10-20"));
    let until = Some(at("2026-10-21 09:00"));
    one.pause = Some(Pause { since, until });
    one.anchor_at = until;
    one.period = Some(Span {
        starts_at: at("2026-10-21 09:00"),
        ends_at: at("2026-11-21 09:00"),
    });
    stored.look(&[one], at("2026-10-21 09:01"));
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-09-20 08:00", SECRETARY, true),
            ("2026-10-15 12:00", SECRETARY, true),
            ("2026-10-21 09:00", SECRETARY, false),
        ],
        "2026-11-21 09:00",
    );
}

#[test]
fn who_resumes_within_a_period_owes_for_the_rest_of_it() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    let since = at("2026-09-20 08:00");
    one.pause = Some(Pause { since, until: None });
    stored.look(&[one.clone()], at("2026-09-20 08:01"));
    let until = Some(at("2026-09-22 09:00"));
    one.pause = Some(Pause { since, until });
    stored.look(&[one], at("2026-09-22 09:00"));
    stored.check(
        &[
            ("2026-09-20 08:00", SECRETARY, true),
            ("2026-09-22 09:00", SECRETARY, false),
        ],
        "2026-10-15 12:00",
    );
}

#[test]
fn a_month_with_a_pause_in_it_has_one_fee_for_a_number() {
    let fees = |since: &str, until: &str| -> Vec<i64> {
        let mut stored = Stored::default();
        let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
        stored.look(&[one.clone()], at("2026-09-15 12:00"));
        let since = at(since);
        one.pause = Some(Pause { since, until: None });
        stored.look(&[one.clone()], since);
        let until = Some(at(until));
        one.pause = Some(Pause { since, until });
        stored.look(&[one], at("2026-10-15 12:00"));
        let paid = stored.periods.iter().filter(|period| {
            period.waiver.is_none() && period.span.starts_at >= at("2026-09-15 12:00")
        });
        paid.map(|period| period.terms.number_fee_minor).collect()
    };
    assert_eq!(fees("2026-09-20 08:00", "2026-09-22 09:00"), [500, 0, 500]);
    // There was none before it.
    assert_eq!(fees("2026-09-15 12:00", "2026-09-22 09:00"), [500, 500]);
}

#[test]
fn who_resumes_in_a_later_month_owes_from_then_on_however_that_is_told() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    let since = at("2026-09-20 08:00");
    one.pause = Some(Pause { since, until: None });
    stored.look(&[one.clone()], at("2026-09-20 08:01"));
    stored.look(&[one.clone()], at("2026-10-16"));
    let until = Some(at("2026-10-14 09:00"));
    one.pause = Some(Pause { since, until });
    stored.look(&[one], at("2026-10-20"));
    // The month that had begun as a paused one is none.
    let last = stored.periods.last().unwrap();
    assert_eq!(last.span.starts_at, at("2026-10-15 12:00"));
    assert_eq!(last.waiver, None);
}

#[test]
fn a_paused_subscription_waives_nothing_of_one_that_is_paid_for() {
    let mut stored = Stored::default();
    let mut paused = subscribed("ai_project_manager", "2026-09-01 00:00", "2026-10-01 00:00");
    let since = at("2026-09-10 00:00");
    paused.pause = Some(Pause { since, until: None });
    let paid = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[paused.clone()], at("2026-09-10 00:01"));
    stored.look(&[paid, paused], at("2026-09-15 12:01"));
    stored.check(
        &[
            ("2026-09-10 00:00", "ai_project_manager", true),
            ("2026-09-15 12:00", SECRETARY, false),
        ],
        "2026-10-15 12:00",
    );
}

#[test]
fn a_trial_that_is_put_on_a_subscription_cuts_what_was_paid_for_before() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-15 12:01"));
    one.trial_put_on_at = Some(at("2026-09-25 10:00"));
    one.anchor_at = Some(at("2026-10-20 00:00"));
    one.period = Some(Span {
        starts_at: at("2026-09-25 10:00"),
        ends_at: at("2026-10-20 00:00"),
    });
    stored.look(&[one], at("2026-09-25 10:01"));
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-09-25 10:00", SECRETARY, false),
        ],
        "2026-10-20 00:00",
    );
}

#[test]
fn a_trial_cuts_a_period_that_stripe_leaves_as_it_is() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-15 12:01"));
    one.trial_put_on_at = Some(at("2026-09-25 10:00"));
    stored.look(&[one], at("2026-09-25 10:01"));
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-09-25 10:00", SECRETARY, false),
        ],
        "2026-10-15 12:00",
    );
}
