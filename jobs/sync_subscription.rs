//! Bring one subscription in line with what Stripe says now, and telephony with the subscription.
//!
//! Enqueued by `handle_stripe_event` for every event that touches the subscription. Its key is the
//! subscription, of which one job lives at a time, so no two runs apply one subscription beside each
//! other; asked for while running, it runs again. Safe to run twice: it stores what was fetched. It
//! never believes an event, a tier in metadata, or an e-mail address.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Job, RetryPolicy,
    billing::periods::Pause,
    plans::{Catalogue, Tier},
    stripe::{Status, Subscription},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSubscription {
    pub subscription_ref: String,
}

impl Job for SyncSubscription {
    const KIND: &'static str = "sync_subscription";
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.subscription_ref.clone()
    }
}

/// What is stored of the subscription so far.
#[derive(Debug, Clone)]
pub struct Stored {
    pub account_id: String,
    pub status: Status,
    pub tier: Option<String>,
    pub past_due_since: Option<DateTime<Utc>>,
    pub pause: Option<Pause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It ended for good; nothing Stripe says later changes that.
    Ended,
    Store {
        /// None: no price of it was ever known.
        tier: Option<String>,
        price_ref: Option<String>,
        past_due_since: Option<DateTime<Utc>>,
        pause: Option<Pause>,
        /// A price that no setting names: the tier stays what it was.
        unknown_price: Option<String>,
    },
}

/// What to store of a subscription as it was fetched.
pub fn decide(
    said: &Subscription,
    stored: Option<&Stored>,
    catalogue: &Catalogue,
    now: DateTime<Utc>,
) -> Plan {
    if stored.is_some_and(|stored| stored.status.is_terminal()) && !said.status.is_terminal() {
        return Plan::Ended;
    }
    let known = said
        .price_refs()
        .filter_map(|price| Some((price, catalogue.tier_of_price(price)?)))
        .max_by_key(|(_, tier)| tier.rank);
    let first_price = said.price_refs().next();
    Plan::Store {
        tier: match known {
            Some((_, tier)) => Some(tier.id.clone()),
            None => stored.and_then(|stored| stored.tier.clone()),
        },
        price_ref: known
            .map(|(price, _)| price)
            .or(first_price)
            .map(str::to_owned),
        past_due_since: past_due_since(said, stored, now),
        pause: pause(said, stored, now),
        unknown_price: match known {
            Some(_) => None,
            None => first_price.map(str::to_owned),
        },
    }
}

/// The grace time counts from when payment was first seen missing, however often that is repeated.
fn past_due_since(
    said: &Subscription,
    stored: Option<&Stored>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let is_unpaid = matches!(said.status, Status::PastDue | Status::Unpaid);
    is_unpaid.then(|| {
        stored
            .and_then(|stored| stored.past_due_since)
            .unwrap_or(now)
    })
}

/// Nothing is owed from when Stripe says that it was paused, or since it was first seen so. It goes on where its resumption
/// begins its months anew, or, where they stay as they are, when that is seen.
fn pause(said: &Subscription, stored: Option<&Stored>, now: DateTime<Utc>) -> Option<Pause> {
    let known = stored.and_then(|stored| stored.pause);
    if said.status == Status::Paused {
        let open = known.filter(|pause| pause.until.is_none());
        let since = said.paused_at().or(open.map(|pause| pause.since));
        let since = since.unwrap_or(now);
        return Some(Pause { since, until: None });
    }
    let known = known?;
    if known.until.is_some() || said.status.is_terminal() {
        return Some(known);
    }
    let anchor = said.billing_cycle_anchor;
    let resumed_at = anchor.filter(|at| *at > known.since && *at <= now);
    let resumed_at = resumed_at.unwrap_or(now);
    Some(Pause {
        until: Some(resumed_at),
        ..known
    })
}

/// Whether a tier comes with telephony; None for a tier nobody knows.
pub fn is_eligible(catalogue: &Catalogue, tier: Option<&str>) -> Option<bool> {
    let tier: &Tier = catalogue.tier(tier?)?;
    Some(tier.auto_provision_number)
}

/// How long a subscription that names no account we know is left alone: a tenth of its age, at least
/// five seconds and at most an hour. It is tried for ever: somebody pays for it.
pub fn delay_of_unresolved(age: TimeDelta) -> TimeDelta {
    (age / 10).clamp(TimeDelta::seconds(5), TimeDelta::hours(1))
}

/// From this age on a person must look at a subscription that names no account.
pub const UNRESOLVED_FOR: TimeDelta = TimeDelta::hours(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::BUILT_IN;

    fn catalogue() -> Catalogue {
        Catalogue::load(BUILT_IN, |setting| {
            Some(format!("price_{}", setting.to_ascii_lowercase()))
        })
        .unwrap()
    }

    fn subscription(status: &str, prices: &[&str]) -> Subscription {
        let items: Vec<_> = prices
            .iter()
            .map(|price| serde_json::json!({"price": {"id": price}}))
            .collect();
        serde_json::from_value(serde_json::json!({
            "id": "sub_1", "customer": "cus_1", "status": status, "items": {"data": items},
            "metadata": {"tier": "repx5"},
        }))
        .unwrap()
    }

    fn stored(status: &str) -> Stored {
        Stored {
            account_id: "ann".into(),
            status: Status::from(status),
            tier: Some("repx2".into()),
            past_due_since: Some(DateTime::UNIX_EPOCH),
            pause: Some(Pause {
                since: DateTime::UNIX_EPOCH,
                until: None,
            }),
        }
    }

    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
    const REPX1: &str = "price_stripe_repx1_monthly_price_id";
    const REPX3: &str = "price_stripe_repx3_monthly_price_id";

    fn tier_of(plan: &Plan) -> Option<&str> {
        match plan {
            Plan::Store { tier, .. } => tier.as_deref(),
            Plan::Ended => panic!("ended"),
        }
    }

    #[test]
    fn the_tier_comes_from_the_price_and_never_from_metadata() {
        let plan = decide(&subscription("active", &[REPX1]), None, &catalogue(), NOW);
        assert_eq!(tier_of(&plan), Some("repx1"));
        let plan = decide(
            &subscription("active", &[REPX1, REPX3]),
            None,
            &catalogue(),
            NOW,
        );
        assert_eq!(tier_of(&plan), Some("repx3"));
    }

    #[test]
    fn an_unknown_price_keeps_the_old_tier_and_is_reported() {
        let said = subscription("active", &["price_new"]);
        for (before, tier) in [(None, None), (Some(stored("active")), Some("repx2"))] {
            let plan = decide(&said, before.as_ref(), &catalogue(), NOW);
            assert_eq!(tier_of(&plan), tier);
            assert!(
                matches!(plan, Plan::Store { unknown_price: Some(price), .. } if price == "price_new")
            );
        }
    }

    #[test]
    fn what_ended_stays_ended() {
        for ended in ["canceled", "incomplete_expired"] {
            let said = subscription("active", &[REPX1]);
            let plan = decide(&said, Some(&stored(ended)), &catalogue(), NOW);
            assert_eq!(plan, Plan::Ended);
        }
    }

    #[test]
    fn a_pause_counts_from_when_stripe_says_or_it_was_first_seen() {
        let paused = |details: serde_json::Value| -> Subscription {
            serde_json::from_value(serde_json::json!({
                "id": "sub_1", "customer": "cus_1", "status": "paused", "status_details": details,
            }))
            .unwrap()
        };
        let check = |said: &Subscription, before: Option<&Stored>, since: Option<DateTime<Utc>>| {
            let plan = decide(said, before, &catalogue(), NOW);
            let expected = since.map(|since| Pause { since, until: None });
            assert!(matches!(plan, Plan::Store { pause, .. } if pause == expected));
        };
        let told = paused(serde_json::json!({"paused": {"transitioned_at": 60}}));
        let untold = paused(serde_json::Value::Null);
        check(
            &told,
            Some(&stored("active")),
            DateTime::from_timestamp(60, 0),
        );
        check(&untold, Some(&stored("paused")), Some(DateTime::UNIX_EPOCH));
        check(&untold, None, Some(NOW));
        check(&subscription("active", &[REPX1]), None, None);
    }

    #[test]
    fn a_pause_ends_where_the_months_begin_anew_or_when_that_is_seen() {
        let resumed = |anchor: i64| -> Subscription {
            serde_json::from_value(serde_json::json!({
                "id": "sub_1", "customer": "cus_1", "status": "active",
                "billing_cycle_anchor": anchor, "current_period_start": 700, "current_period_end": 1_800_000_100,
            }))
            .unwrap()
        };
        let check = |said: &Subscription, until: DateTime<Utc>| {
            let plan = decide(said, Some(&stored("paused")), &catalogue(), NOW);
            let expected = Some(Pause {
                since: DateTime::UNIX_EPOCH,
                until: Some(until),
            });
            assert!(matches!(plan, Plan::Store { pause, .. } if pause == expected));
        };
        check(&resumed(500), DateTime::from_timestamp(500, 0).unwrap());
        check(&resumed(-500), NOW);
        check(&resumed(NOW.timestamp() + 500), NOW);
    }

    #[test]
    fn the_grace_time_counts_from_the_first_missing_payment() {
        for (status, since) in [
            ("past_due", Some(DateTime::UNIX_EPOCH)),
            ("unpaid", Some(DateTime::UNIX_EPOCH)),
            ("active", None),
        ] {
            let plan = decide(
                &subscription(status, &[REPX1]),
                Some(&stored("past_due")),
                &catalogue(),
                NOW,
            );
            assert!(
                matches!(plan, Plan::Store { past_due_since, .. } if past_due_since == since),
                "{status}"
            );
        }
    }
}
