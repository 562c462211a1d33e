//! Rate one billing period that is over, and charge the difference to what was charged for it before.
//!
//! Enqueued by `open_period` for its end, by `close_due_periods` when it is over, by `attach_charges` when its invoice is
//! there already, and by `close_usage_windows` when something was used in it that came late. Safe to run twice, at any
//! time: it always rates the whole period, under the account's lock, and a period that comes to the same as before is
//! charged nothing. It never closes a period on old news: what Stripe said of its subscription must be newer than the
//! period's end; nor on terms that nobody knows: a price that sells no tier is somebody's to name, or to accept as it is,
//! first.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosePeriod {
    pub period_id: Uuid,
}

impl Job for ClosePeriod {
    const KIND: &'static str = "close_period";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.period_id.to_string()
    }
}

/// What decides whether a period can be rated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub ends_at: DateTime<Utc>,
    /// So long what is on its way when it ends is waited for.
    pub settles_for: TimeDelta,
    /// When Stripe was last asked about its subscription. None: nobody pays for it.
    pub synced_at: Option<DateTime<Utc>>,
    /// Its subscription has a price that sells no tier we know, and nobody has accepted that.
    pub has_unknown_price: bool,
}

/// How soon it is looked again whether a price is known by now.
const PRICE_LOOKED_AGAIN: TimeDelta = TimeDelta::hours(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Rate,
    /// It is not over, or something of it may be on its way.
    WaitUntil(DateTime<Utc>),
    /// What we know of its subscription is older than its end.
    AskStripe,
}

/// Whether to rate it now.
pub fn decide(facts: &Facts, now: DateTime<Utc>) -> Plan {
    let settles_at = facts.ends_at + facts.settles_for;
    if now < settles_at {
        return Plan::WaitUntil(settles_at);
    }
    match facts.synced_at {
        Some(synced_at) if synced_at < facts.ends_at => Plan::AskStripe,
        _ if facts.has_unknown_price => Plan::WaitUntil(now + PRICE_LOOKED_AGAIN),
        _ => Plan::Rate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: DateTime<Utc> = DateTime::from_timestamp(1_800_000_600, 0).expect("in range");
    const END: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

    #[test]
    fn a_period_is_rated_when_it_has_settled_and_stripe_was_asked_since_its_end() {
        let check_priced = |has_unknown_price, synced: Option<i64>, now: i64, plan: Plan| {
            let facts = Facts {
                has_unknown_price,
                ends_at: END,
                settles_for: TimeDelta::minutes(10),
                synced_at: synced.map(|seconds| END + TimeDelta::seconds(seconds)),
            };
            assert_eq!(
                decide(&facts, END + TimeDelta::seconds(now)),
                plan,
                "{synced:?} {now}"
            );
        };
        let check = |synced, now, plan| check_priced(false, synced, now, plan);
        check_priced(true, Some(-1), 600, Plan::AskStripe);
        let in_an_hour = SETTLED + PRICE_LOOKED_AGAIN;
        check_priced(true, Some(0), 600, Plan::WaitUntil(in_an_hour));
        check(Some(0), 599, Plan::WaitUntil(SETTLED));
        check(Some(0), 600, Plan::Rate);
        check(Some(-1), 600, Plan::AskStripe);
        check(None, 600, Plan::Rate);
        check(None, -1, Plan::WaitUntil(SETTLED));
    }
}
