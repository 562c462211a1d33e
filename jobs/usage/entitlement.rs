//! Which tier's rights an account has: its subscription's while that is in good standing, the free ones
//! otherwise.

use chrono::{DateTime, TimeDelta, Utc};

use super::windows::{Cycle, Span};
use crate::{
    plans::{Catalogue, Tier},
    stripe::Status,
};

/// The product of an account that never subscribed to anything.
pub const DEFAULT_PRODUCT: &str = "repx";

/// One subscription, as far as rights depend on it.
#[derive(Debug, Clone)]
pub struct Subscribed {
    pub status: Status,
    /// None: no price of it was ever known.
    pub tier: Option<String>,
    pub created_at: DateTime<Utc>,
    pub past_due_since: Option<DateTime<Utc>>,
    /// The period that runs, as Stripe said last.
    pub period: Option<Span>,
    /// Where its months are counted from.
    pub anchor_at: Option<DateTime<Utc>>,
}

/// Why a subscription's rights do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Past due for longer than the grace time.
    PastDue,
    Canceled,
    Paused,
    Unpaid,
    /// Never paid for.
    Incomplete,
}

/// The rights of an account.
#[derive(Debug, Clone)]
pub struct Entitlement<'a> {
    pub tier: &'a Tier,
    /// Set where a subscription is there and its rights do not count.
    pub lost: Option<Lost>,
    /// None: its cycles are the months of UTC.
    pub cycle: Option<Cycle>,
    /// The subscription that counts, by its place among those given.
    pub counting: Option<usize>,
}

/// The rights that these subscriptions, newest first, give at `now`.
pub fn entitlement<'a>(
    catalogue: &'a Catalogue,
    subscriptions: &[Subscribed],
    past_due_grace: TimeDelta,
    now: DateTime<Utc>,
) -> Entitlement<'a> {
    let told: Vec<_> = subscriptions
        .iter()
        .map(|one| (one.status.as_str(), one.tier.as_deref()))
        .collect();
    let counting = catalogue.counting(&told);
    let subscription = counting.map(|at| &subscriptions[at]);
    let paid = subscription.and_then(|one| catalogue.tier(one.tier.as_deref()?));
    let product = paid.map_or(DEFAULT_PRODUCT, |tier| tier.product.as_str());
    let free = catalogue.free_tier(product);
    let lost = subscription.and_then(|one| lost(one, past_due_grace, now));
    match (paid, subscription, lost) {
        (Some(tier), Some(subscription), None) => Entitlement {
            tier,
            lost,
            cycle: cycle(subscription),
            counting,
        },
        _ => Entitlement {
            tier: free,
            lost,
            cycle: None,
            counting,
        },
    }
}

/// What takes a subscription's rights away. A word of Stripe's that we do not know takes none.
fn lost(subscription: &Subscribed, grace: TimeDelta, now: DateTime<Utc>) -> Option<Lost> {
    match subscription.status {
        Status::Trialing | Status::Active | Status::Unknown(_) => None,
        Status::PastDue => {
            let since = subscription.past_due_since?;
            (since + grace <= now).then_some(Lost::PastDue)
        }
        Status::Canceled => Some(Lost::Canceled),
        Status::Paused => Some(Lost::Paused),
        Status::Unpaid => Some(Lost::Unpaid),
        Status::Incomplete | Status::IncompleteExpired => Some(Lost::Incomplete),
    }
}

fn cycle(subscription: &Subscribed) -> Option<Cycle> {
    let current = subscription
        .period
        .filter(|period| period.starts_at < period.ends_at)?;
    Some(Cycle {
        began_at: subscription.created_at.min(current.starts_at),
        current,
        anchor_at: subscription.anchor_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::BUILT_IN;

    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
    const GRACE: TimeDelta = TimeDelta::days(3);

    fn subscribed(status: &str, tier: &str) -> Subscribed {
        Subscribed {
            status: Status::from(status),
            tier: Some(tier.to_owned()),
            created_at: NOW - TimeDelta::days(40),
            past_due_since: None,
            period: Some(Span {
                starts_at: NOW - TimeDelta::days(10),
                ends_at: NOW + TimeDelta::days(20),
            }),
            anchor_at: None,
        }
    }

    #[track_caller]
    fn check(subscriptions: &[Subscribed], tier: &str, lost: Option<Lost>) {
        let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
        let found = entitlement(&catalogue, subscriptions, GRACE, NOW);
        assert_eq!((found.tier.id.as_str(), found.lost), (tier, lost));
        let has_cycle = found.tier.rank > 0;
        assert_eq!(found.cycle.is_some(), has_cycle, "{tier}");
    }

    #[test]
    fn rights_follow_the_status() {
        for (status, tier, lost) in [
            ("active", "repx3", None),
            ("trialing", "repx3", None),
            ("a word of next year", "repx3", None),
            ("canceled", "free", Some(Lost::Canceled)),
            ("paused", "free", Some(Lost::Paused)),
            ("unpaid", "free", Some(Lost::Unpaid)),
            ("incomplete", "free", Some(Lost::Incomplete)),
            ("incomplete_expired", "free", Some(Lost::Incomplete)),
        ] {
            check(&[subscribed(status, "repx3")], tier, lost);
        }
        check(
            &[subscribed("canceled", "ai_cto")],
            "ai_buddy",
            Some(Lost::Canceled),
        );
        check(&[], "free", None);
    }

    #[test]
    fn who_is_past_due_keeps_their_rights_for_the_grace_time() {
        for (days, tier, lost) in [(2, "repx1", None), (3, "free", Some(Lost::PastDue))] {
            let mut late = subscribed("past_due", "repx1");
            late.past_due_since = Some(NOW - TimeDelta::days(days));
            check(&[late], tier, lost);
        }
        check(&[subscribed("past_due", "repx1")], "repx1", None);
    }

    #[test]
    fn a_running_subscription_counts_before_a_better_one_that_ended() {
        check(
            &[
                subscribed("canceled", "repx5"),
                subscribed("active", "repx1"),
            ],
            "repx1",
            None,
        );
    }
}
