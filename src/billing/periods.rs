//! Bringing accounts' periods in line with their subscriptions.

use std::collections::{BTreeMap, btree_map::Entry};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        periods::{Last, Pause, Plan, Subscribed, plan},
        waivers::{self, Waiver},
    },
    plans::Catalogue,
    stripe::Status,
    usage::Span,
};

use crate::db::{
    billing::periods::{self, NewPeriod, StoredPeriod},
    subscriptions::{self, Subscription},
};

/// A subscription's first trial begins with it, by Stripe's clock of the moment.
const WITH_THE_SUBSCRIPTION: TimeDelta = TimeDelta::hours(1);

/// By their ids at Stripe.
pub type Subscriptions = BTreeMap<String, Subscription>;

/// See that the periods of these accounts, which the caller has locked, tile time up to `now`. Answers everything that
/// these accounts ever subscribed to.
pub async fn align(
    tx: &mut PgConnection,
    catalogue: &Catalogue,
    account_ids: &[&str],
    now: DateTime<Utc>,
) -> sqlx::Result<Subscriptions> {
    let subscriptions = subscriptions::of_accounts(tx, account_ids).await?;
    let mut subscribed_to: BTreeMap<&str, Vec<Subscribed>> = BTreeMap::new();
    for row in &subscriptions {
        let of_account = subscribed_to.entry(&row.account_id).or_default();
        of_account.extend(subscribed(row));
    }
    let stored = periods::last(tx, account_ids).await?;
    let mut stored: BTreeMap<String, StoredPeriod> = stored
        .into_iter()
        .map(|row| (row.account_id.clone(), row))
        .collect();

    let mut plans: Vec<(&str, bool, Plan)> = Vec::new();
    for account_id in account_ids {
        let stored = match stored.entry((*account_id).to_owned()) {
            Entry::Occupied(stored) => Some(stored.remove()),
            Entry::Vacant(_) => None,
        };
        let last = stored.as_ref().map(|stored| Last {
            period: stored.period(),
            is_closed: stored.closed_at.is_some(),
        });
        let subscribed = subscribed_to.remove(*account_id).unwrap_or_default();
        let plan = plan(catalogue, last.as_ref(), &subscribed, now);
        if let (Some(stored), Some(changed)) = (&stored, &plan.last) {
            periods::change(tx, stored.period_id, changed).await?;
        }
        plans.push((*account_id, stored.is_some(), plan));
    }
    let new: Vec<NewPeriod> = plans
        .iter()
        .flat_map(|(account_id, has_some, plan)| {
            let following = plan.following.iter().enumerate();
            following.map(move |(nth, period)| NewPeriod {
                account_id,
                period,
                follows_another: *has_some || nth > 0,
            })
        })
        .collect();
    if !new.is_empty() {
        periods::append(tx, &new, now).await?;
    }
    let by_ref = |row: Subscription| (row.subscription_ref.clone(), row);
    Ok(subscriptions.into_iter().map(by_ref).collect())
}

/// What waives a period of this subscription if it is closed as things stand. A pause of the subscription itself begins a
/// period of its own, which says so.
pub(super) fn waived_by(period: Span, subscription: &Subscription) -> Option<Waiver> {
    waivers::waiver(&waivers::Facts {
        period,
        trial: subscription.trial_ends_at.map(|ends_at| Span {
            starts_at: trial_put_on_at(subscription).unwrap_or(subscription.created_at),
            ends_at,
        }),
        status: &Status::Active,
        pause_behavior: subscription.pause_behavior.as_deref(),
    })
}

/// When a trial was put on a subscription that had begun without it, or whose first one was over.
fn trial_put_on_at(row: &Subscription) -> Option<DateTime<Utc>> {
    let starts_at = row.trial_starts_at?;
    (starts_at - row.created_at > WITH_THE_SUBSCRIPTION).then_some(starts_at)
}

/// When it stood still itself, the last time.
pub fn pause(row: &Subscription) -> Option<Pause> {
    let goes_on = row.paused_since.map(|since| Pause { since, until: None });
    let over = row.pause_began_at.zip(row.pause_ended_at);
    let over = over.map(|(since, until)| Pause {
        since,
        until: Some(until),
    });
    goes_on.or(over)
}

/// A subscription as far as periods depend on it. None: it was never paid for.
pub(super) fn subscribed(row: &Subscription) -> Option<Subscribed> {
    let status = Status::from(row.status.as_str());
    if matches!(status, Status::Incomplete | Status::IncompleteExpired) {
        return None;
    }
    let ended_at = match status {
        Status::Canceled => row.ended_at.or(row.canceled_at).or(Some(row.synced_at)),
        _ => row.ended_at,
    };
    let period = row.period_starts_at.zip(row.period_ends_at);
    Some(Subscribed {
        subscription_ref: row.subscription_ref.clone(),
        customer_ref: row.customer_ref.clone(),
        tier: row.tier.clone(),
        began_at: row.created_at,
        ended_at,
        trial_put_on_at: trial_put_on_at(row),
        pause: pause(row),
        period: period.map(|(starts_at, ends_at)| Span { starts_at, ends_at }),
        anchor_at: row.anchor_at,
        // What was said of a period that was over is no word of the next one.
        told_at: match row.period_ends_at {
            Some(ends_at) if ends_at <= row.synced_at => ends_at - TimeDelta::seconds(1),
            _ => row.synced_at,
        },
    })
}
