//! Which plan a period is billed by when another one comes.

use super::*;
use crate::plans::Quantity;

#[test]
fn a_plan_change_keeps_the_larger_allowance_for_its_period_and_no_longer() {
    let mut stored = Stored::default();
    let mut one = subscribed("ai_project_manager", "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-16"));
    one.tier = Some(SECRETARY.into());
    stored.look(&[one.clone()], at("2026-10-01"));
    one.period = Some(Span {
        starts_at: at("2026-10-15 12:00"),
        ends_at: at("2026-11-15 12:00"),
    });
    stored.look(&[one.clone()], at("2026-10-15 12:01"));
    let included = |nth: usize| stored.periods[nth].terms.meters["sms"].included;
    assert_eq!(
        (included(1), included(2)),
        (Quantity::Units(500), Quantity::Units(100))
    );
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-10-15 12:00", SECRETARY, false),
        ],
        "2026-11-15 12:00",
    );
}

#[test]
fn a_plan_that_was_only_expected_of_a_period_gives_it_no_allowance() {
    let mut stored = Stored::default();
    let mut one = subscribed("ai_project_manager", "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-16"));
    // The timetable is here before Stripe's word of the renewal.
    stored.look(&[one.clone()], at("2026-10-15 12:00"));
    one.tier = Some(SECRETARY.into());
    one.told_at = at("2026-10-15 12:01");
    stored.look(&[one.clone()], at("2026-10-15 12:01"));
    let included = |stored: &Stored| stored.periods.last().unwrap().terms.meters["sms"].included;
    assert_eq!(included(&stored), Quantity::Units(100));

    // From then on it is a change within the period.
    one.tier = Some("ai_project_manager".into());
    one.told_at = at("2026-10-20");
    stored.look(&[one.clone()], at("2026-10-20"));
    one.tier = Some(SECRETARY.into());
    one.told_at = at("2026-10-21");
    stored.look(&[one], at("2026-10-21"));
    assert_eq!(included(&stored), Quantity::Units(500));
}

#[test]
fn what_is_sold_later_under_the_same_name_is_the_next_periods() {
    let mut stored = Stored::default();
    let subscriptions = [subscribed(SECRETARY, "2026-03-10", "2026-04-10")];
    stored.look(&subscriptions, at("2026-03-10"));
    let sold_now = stored.periods.last().unwrap().terms.clone();
    let mut sold_then = sold_now.clone();
    sold_then.number_fee_minor += 100;
    for meter in sold_then.meters.values_mut() {
        meter.included = Quantity::Units(1);
        meter.rates.clear();
    }
    stored.periods.last_mut().unwrap().terms = sold_then.clone();

    stored.look(&subscriptions, at("2026-03-20"));
    assert_eq!(stored.periods.last().unwrap().terms, sold_then);
    stored.look(&subscriptions, at("2026-04-11"));
    let [.., before, after] = &stored.periods[..] else {
        panic!("{:#?}", stored.periods)
    };
    assert_eq!((&before.terms, &after.terms), (&sold_then, &sold_now));
}

#[test]
fn a_plan_that_is_news_after_a_periods_end_is_the_next_ones() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-16"));
    one.tier = Some("ai_project_manager".into());
    one.period = Some(Span {
        starts_at: at("2026-10-15 12:00"),
        ends_at: at("2026-11-15 12:00"),
    });
    stored.look(&[one], at("2026-10-15 12:01"));
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-10-15 12:00", "ai_project_manager", false),
        ],
        "2026-11-15 12:00",
    );
}
