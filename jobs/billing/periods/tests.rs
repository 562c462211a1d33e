//! Lives of accounts, looked at again and again as Stripe tells of them.

use std::sync::LazyLock;

use chrono::{Months, TimeDelta};
use proptest::prelude::*;

use super::*;
use crate::plans::BUILT_IN;

mod pauses;
mod plan_changes;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> =
        LazyLock::new(|| Catalogue::load(BUILT_IN, |_| None).unwrap());
    &CATALOGUE
}

fn at(text: &str) -> DateTime<Utc> {
    let text = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => format!("{text}:00Z"),
    };
    text.parse().unwrap()
}

fn subscribed(tier: &str, began_at: &str, ends_at: &str) -> Subscribed {
    Subscribed {
        subscription_ref: format!("sub_{tier}"),
        customer_ref: "cus_1".into(),
        tier: Some(tier.into()),
        began_at: at(began_at),
        ended_at: None,
        trial_put_on_at: None,
        pause: None,
        period: Some(Span {
            starts_at: at(began_at),
            ends_at: at(ends_at),
        }),
        anchor_at: Some(at(began_at)),
        told_at: at(began_at),
    }
}

/// The periods of an account as they are stored, the last ones of them not closed.
#[derive(Default)]
struct Stored {
    periods: Vec<Period>,
    closed: usize,
}

impl Stored {
    fn look(&mut self, subscriptions: &[Subscribed], now: DateTime<Utc>) {
        let last = self.periods.last().map(|period| Last {
            period: period.clone(),
            is_closed: self.closed == self.periods.len(),
        });
        let plan = plan(catalogue(), last.as_ref(), subscriptions, now);
        if let Some(changed) = plan.last {
            *self.periods.last_mut().unwrap() = changed;
        }
        self.periods.extend(plan.following);
    }

    fn close(&mut self, now: DateTime<Utc>) {
        let ended = self
            .periods
            .iter()
            .filter(|period| period.span.ends_at <= now);
        self.closed = self.closed.max(ended.count());
    }

    /// Begin, tier and waiver of every period but prehistory.
    fn told(&self) -> Vec<(String, &str, bool)> {
        let told = self.periods[1..].iter().map(|period| {
            let begin = period.span.starts_at.format("%F %R").to_string();
            (begin, period.terms.tier.as_str(), period.waiver.is_some())
        });
        told.collect()
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, &str, bool)], until: &str) {
        let told = self.told();
        let told: Vec<_> = told
            .iter()
            .map(|(begin, tier, waived)| (begin.as_str(), *tier, *waived))
            .collect();
        assert_eq!(told, expected);
        assert_eq!(self.periods.last().unwrap().span.ends_at, at(until));
    }
}

const SECRETARY: &str = "ai_secretary";

#[test]
fn who_never_subscribed_has_the_months_of_utc() {
    let mut stored = Stored::default();
    stored.look(&[], at("2026-09-20"));
    stored.look(&[], at("2026-11-01"));
    stored.check(
        &[
            ("2026-09-01 00:00", "free", false),
            ("2026-10-01 00:00", "free", false),
            ("2026-11-01 00:00", "free", false),
        ],
        "2026-12-01",
    );
    assert_eq!(stored.periods[0].span.starts_at, PREHISTORY);
}

#[test]
fn a_subscribers_periods_are_counted_from_the_anchor_also_at_the_end_of_months() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2027-01-31 12:30", "2027-02-28 12:30");
    stored.look(&[one.clone()], at("2027-01-31 12:31"));
    // Stripe was not asked in between: the periods follow one another by themselves.
    stored.look(&[one.clone()], at("2027-04-30 12:30"));
    one.period = Some(Span {
        starts_at: at("2027-04-30 12:30"),
        ends_at: at("2027-05-31 12:30"),
    });
    stored.look(&[one], at("2027-05-01"));
    let begins = [
        "2027-01-31 12:30",
        "2027-02-28 12:30",
        "2027-03-31 12:30",
        "2027-04-30 12:30",
    ];
    let expected: Vec<_> = begins.map(|begin| (begin, SECRETARY, false)).to_vec();
    stored.check(&expected, "2027-05-31 12:30");
}

#[test]
fn a_subscription_cuts_the_free_month_and_its_end_cuts_its_period() {
    let mut stored = Stored::default();
    stored.look(&[], at("2026-09-10"));
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-15 12:01"));
    one.ended_at = Some(at("2026-09-20 08:00"));
    stored.look(&[one], at("2026-09-20 09:00"));
    stored.check(
        &[
            ("2026-09-01 00:00", "free", false),
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-09-20 08:00", "free", false),
        ],
        "2026-10-01",
    );
    assert!(stored.periods[2].payer.is_some() && stored.periods[3].payer.is_none());
}

#[test]
fn an_end_that_is_told_late_takes_back_the_period_that_was_expected_to_follow() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-16"));
    stored.look(&[one.clone()], at("2026-10-15 12:05"));
    one.ended_at = Some(at("2026-10-15 12:00"));
    stored.look(&[one], at("2026-10-15 12:06"));
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-10-15 12:00", "free", false),
        ],
        "2026-11-01",
    );
}

#[test]
fn a_closed_period_is_never_changed() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-16"));
    stored.close(at("2026-10-15 12:10"));
    one.ended_at = Some(at("2026-09-20"));
    stored.look(&[one], at("2026-10-16"));
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-10-15 12:00", "free", false),
        ],
        "2026-11-01",
    );
}

#[test]
fn a_moved_anchor_cuts_the_period() {
    let mut stored = Stored::default();
    let mut one = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(&[one.clone()], at("2026-09-16"));
    one.anchor_at = Some(at("2026-09-25 10:00"));
    one.period = Some(Span {
        starts_at: at("2026-09-25 10:00"),
        ends_at: at("2026-10-25 10:00"),
    });
    stored.look(&[one], at("2026-09-25 10:01"));
    stored.check(
        &[
            ("2026-09-15 12:00", SECRETARY, false),
            ("2026-09-25 10:00", SECRETARY, false),
        ],
        "2026-10-25 10:00",
    );
}

#[test]
fn a_year_is_billed_by_its_months() {
    let mut stored = Stored::default();
    let one = subscribed("repx3", "2026-09-15 12:00", "2027-09-15 12:00");
    stored.look(&[one], at("2026-11-20"));
    stored.check(&[("2026-11-15 12:00", "repx3", false)], "2026-12-15 12:00");
}

#[test]
fn of_two_subscriptions_the_one_that_bills_usage_governs() {
    let mut stored = Stored::default();
    let rep = subscribed("repx5", "2026-09-01 00:00", "2026-10-01 00:00");
    let ai = subscribed(SECRETARY, "2026-09-15 12:00", "2026-10-15 12:00");
    stored.look(std::slice::from_ref(&rep), at("2026-09-02"));
    stored.look(&[ai, rep], at("2026-09-15 12:01"));
    stored.check(
        &[
            ("2026-09-01 00:00", "repx5", false),
            ("2026-09-15 12:00", SECRETARY, false),
        ],
        "2026-10-15 12:00",
    );
}

/// What happens to a subscription, after so many hours.
#[derive(Debug, Clone)]
enum Happening {
    Nothing,
    Renewed,
    Moved,
    Ended,
    Paused,
    Resumed,
    Tried,
    Changed(&'static str),
    Began(&'static str),
}

fn happenings() -> impl Strategy<Value = Vec<(i64, Happening, bool)>> {
    let tier = prop_oneof![Just(SECRETARY), Just("ai_project_manager"), Just("repx3")];
    let one = prop_oneof![
        4 => Just(Happening::Nothing),
        4 => Just(Happening::Renewed),
        1 => Just(Happening::Moved),
        1 => Just(Happening::Ended),
        1 => Just(Happening::Paused),
        1 => Just(Happening::Resumed),
        1 => Just(Happening::Tried),
        2 => tier.clone().prop_map(Happening::Changed),
        2 => tier.prop_map(Happening::Began),
    ];
    prop::collection::vec((1..900i64, one, any::<bool>()), 1..40)
}

fn apply(subscriptions: &mut Vec<Subscribed>, happening: &Happening, now: DateTime<Utc>) {
    if let Happening::Began(tier) = happening {
        let starts_at = now - TimeDelta::minutes(3);
        subscriptions.push(Subscribed {
            subscription_ref: format!("sub_{}", subscriptions.len()),
            began_at: starts_at,
            anchor_at: Some(starts_at),
            period: Some(Span {
                starts_at,
                ends_at: starts_at + Months::new(1),
            }),
            ..subscribed(tier, "2026-01-01", "2026-02-01")
        });
    }
    let Some(one) = subscriptions.iter_mut().rfind(|one| one.ended_at.is_none()) else {
        return;
    };
    let Some(current) = one.period else { return };
    match happening {
        Happening::Renewed if current.ends_at <= now => {
            one.period = Some(Span {
                starts_at: current.ends_at,
                ends_at: current.ends_at + Months::new(1),
            });
        }
        Happening::Moved => {
            if let Some(pause) = &mut one.pause {
                pause.until = pause.until.or(Some(now));
            }
            one.anchor_at = Some(now);
            one.period = Some(Span {
                starts_at: now,
                ends_at: now + Months::new(1),
            });
        }
        Happening::Ended => one.ended_at = Some(now - TimeDelta::minutes(2)),
        Happening::Paused => {
            if one.pause.is_none_or(|pause| pause.until.is_some()) {
                let since = now - TimeDelta::minutes(1);
                one.pause = Some(Pause { since, until: None });
            }
        }
        Happening::Resumed => {
            if let Some(pause) = &mut one.pause {
                pause.until = pause.until.or(Some(now));
            }
        }
        Happening::Tried => one.trial_put_on_at = Some(now),
        Happening::Changed(tier) => one.tier = Some((*tier).into()),
        Happening::Nothing | Happening::Renewed | Happening::Began(_) => {}
    }
}

proptest! {
    #[test]
    fn periods_tile_time_whatever_happens_and_closed_ones_stay(life in happenings()) {
        let mut now = at("2026-01-10");
        let (mut stored, mut subscriptions) = (Stored::default(), Vec::new());
        for (hours, happening, closes) in life {
            now += TimeDelta::hours(hours);
            apply(&mut subscriptions, &happening, now);
            let before = stored.periods[..stored.closed].to_vec();
            stored.look(&subscriptions, now);
            prop_assert_eq!(&stored.periods[..before.len()], &before[..]);
            prop_assert!(stored.periods.iter().all(|period| period.span.starts_at < period.span.ends_at));
            prop_assert!(stored.periods.windows(2).all(|two| two[0].span.ends_at == two[1].span.starts_at));
            prop_assert!(stored.periods.last().unwrap().span.contains(now));
            let again = stored.periods.clone();
            stored.look(&subscriptions, now);
            prop_assert_eq!(&stored.periods, &again, "a second look changes nothing");
            if closes {
                stored.close(now);
            }
        }
    }
}
