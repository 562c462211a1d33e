//! Closing periods: those that are over and settled are rated.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, RaiseUsageInvoice, SyncSubscription,
    close_period::{Facts, Plan, decide},
};
use uuid::Uuid;

use super::{Rules, align, periods::Subscriptions, rate::rate};
use crate::{
    db::{
        self, accounts,
        billing::{
            charges::NewCharge,
            parks,
            periods::{self, StoredPeriod},
        },
        findings,
    },
    queue,
};

/// The finding about a subscription whose price sells no tier.
pub const UNKNOWN_PRICE: &str = "unknown_price";

/// What came of closing periods.
#[derive(Debug, Default)]
pub struct Closed {
    /// Those that were rated.
    pub rated: Vec<StoredPeriod>,
    /// The revisions that were charged for them.
    pub charges: Vec<NewCharge>,
    /// Those that cannot be rated yet, and when they may be.
    pub waiting: Vec<(Uuid, DateTime<Utc>)>,
    /// Stripe is asked first about the subscriptions of these, and when they ended.
    pub asking: Vec<(Uuid, DateTime<Utc>)>,
}

/// Rate these periods again where they are closed, and close those that are over. Locks their accounts, and asks for
/// the jobs that follow.
pub async fn close(
    tx: &mut PgConnection,
    rules: Rules<'_>,
    period_ids: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<Closed> {
    let is_batch = period_ids.len() > 1;
    if is_batch {
        db::plan_anew(tx).await?;
    }
    let accounts = periods::accounts_of(tx, period_ids).await?;
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    accounts::lock_all(tx, &accounts).await?;
    let subscriptions = align(tx, rules.catalogue, &accounts, now).await?;

    let subscription_refs: Vec<&str> = subscriptions.keys().map(String::as_str).collect();
    let unknown_prices = findings::open_about(tx, UNKNOWN_PRICE, &subscription_refs).await?;

    let mut closed = Closed::default();
    let mut jobs = Vec::new();
    let mut ready = Vec::new();
    for period in periods::load(tx, period_ids).await? {
        let plan = match period.closed_at {
            Some(_) => Plan::Rate,
            None => decide(&facts(&period, rules, &subscriptions, &unknown_prices), now),
        };
        match plan {
            Plan::Rate => ready.push(period),
            Plan::WaitUntil(at) => closed.waiting.push((period.period_id, at)),
            Plan::AskStripe => {
                closed.asking.push((period.period_id, period.ends_at));
                let sync = period
                    .subscription_ref
                    .map(|subscription_ref| NewJob::of(&SyncSubscription { subscription_ref }));
                jobs.extend(sync.map(|job| job.of_account(Some(period.account_id))));
            }
        }
    }
    let rated = rate(tx, &ready, &subscriptions, now).await?;
    for (period_id, error) in &rated.beyond_amounts {
        let account_id = ready.iter().find(|one| one.period_id == *period_id);
        let account_id = account_id.map_or("", |one| one.account_id.as_str());
        let detail = json!({ "error": error.to_string() });
        findings::open(
            tx,
            error.code(),
            &period_id.to_string(),
            account_id,
            &detail,
        )
        .await?;
        parks::park(tx, account_id, &error.to_string(), "close_period", now).await?;
    }
    closed.rated = ready;
    closed.charges = rated.charges;
    jobs.extend(
        rated
            .owing
            .into_iter()
            .map(|account_id| NewJob::of(&RaiseUsageInvoice { account_id })),
    );
    queue::enqueue_all(tx, &jobs).await?;
    if is_batch {
        db::plan_as_kept(tx).await?;
    }
    Ok(closed)
}

fn facts(
    period: &StoredPeriod,
    rules: Rules<'_>,
    subscriptions: &Subscriptions,
    unknown_prices: &[String],
) -> Facts {
    let subscription_ref = period.subscription_ref.as_ref();
    let subscription = subscription_ref.and_then(|one| subscriptions.get(one));
    Facts {
        ends_at: period.ends_at,
        settles_for: rules.settles_for,
        synced_at: subscription.map(|row| row.synced_at),
        has_unknown_price: subscription_ref.is_some_and(|one| unknown_prices.contains(one)),
    }
}
