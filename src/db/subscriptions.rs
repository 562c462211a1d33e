//! Subscriptions as Stripe said last. Written only from a fetched object.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

#[derive(Debug, Clone, FromRow)]
pub struct Subscription {
    pub subscription_ref: String,
    pub account_id: String,
    pub customer_ref: String,
    pub status: String,
    pub tier: Option<String>,
    pub price_ref: Option<String>,
    pub period_starts_at: Option<DateTime<Utc>>,
    pub period_ends_at: Option<DateTime<Utc>>,
    /// Where its months are counted from.
    pub anchor_at: Option<DateTime<Utc>>,
    pub trial_starts_at: Option<DateTime<Utc>>,
    pub trial_ends_at: Option<DateTime<Utc>>,
    pub cancel_at_period_end: bool,
    pub canceled_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub past_due_since: Option<DateTime<Utc>>,
    /// Since when it is paused itself.
    pub paused_since: Option<DateTime<Utc>>,
    /// The last pause that is over.
    pub pause_began_at: Option<DateTime<Utc>>,
    pub pause_ended_at: Option<DateTime<Utc>>,
    /// What becomes of its invoices while collecting them is paused, in Stripe's words.
    pub pause_behavior: Option<String>,
    /// What it is paid by. None: by whatever the customer's invoices are.
    pub payment_method_ref: Option<String>,
    pub created_at: DateTime<Utc>,
    pub synced_at: DateTime<Utc>,
}

pub async fn load(
    conn: &mut PgConnection,
    subscription_ref: &str,
) -> sqlx::Result<Option<Subscription>> {
    sqlx::query_as("select * from subscriptions where subscription_ref = $1")
        .bind(subscription_ref)
        .fetch_optional(conn)
        .await
}

/// Everything the account ever subscribed to, newest first.
pub async fn of_account(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Vec<Subscription>> {
    sqlx::query_as("select * from subscriptions where account_id = $1 order by created_at desc")
        .bind(account_id)
        .fetch_all(conn)
        .await
}

/// Everything these accounts ever subscribed to, the newest of each first.
pub async fn of_accounts(
    conn: &mut PgConnection,
    account_ids: &[&str],
) -> sqlx::Result<Vec<Subscription>> {
    sqlx::query_as(
        "select * from subscriptions where account_id = any($1) order by account_id, created_at desc",
    )
    .bind(account_ids)
    .fetch_all(conn)
    .await
}

/// The ids of a customer's subscriptions.
pub async fn of_customer(conn: &mut PgConnection, customer_ref: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select subscription_ref from subscriptions where customer_ref = $1 order by subscription_ref",
    )
    .bind(customer_ref)
    .fetch_all(conn)
    .await
}

/// Store what Stripe says now. The account of a subscription never changes.
pub async fn store(conn: &mut PgConnection, subscription: &Subscription) -> sqlx::Result<()> {
    sqlx::query(
        "insert into subscriptions
             (subscription_ref, account_id, customer_ref, status, tier, price_ref, period_starts_at,
              period_ends_at, trial_ends_at, cancel_at_period_end, canceled_at, ended_at,
              past_due_since, created_at, synced_at, anchor_at, paused_since, pause_behavior,
              trial_starts_at, pause_began_at, pause_ended_at, payment_method_ref)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
         on conflict (subscription_ref) do update set
             customer_ref = excluded.customer_ref, status = excluded.status, tier = excluded.tier,
             price_ref = excluded.price_ref, period_starts_at = excluded.period_starts_at,
             period_ends_at = excluded.period_ends_at, trial_ends_at = excluded.trial_ends_at,
             cancel_at_period_end = excluded.cancel_at_period_end,
             canceled_at = excluded.canceled_at, ended_at = excluded.ended_at,
             past_due_since = excluded.past_due_since, synced_at = excluded.synced_at,
             anchor_at = excluded.anchor_at, paused_since = excluded.paused_since,
             pause_behavior = excluded.pause_behavior, trial_starts_at = excluded.trial_starts_at,
             pause_began_at = excluded.pause_began_at, pause_ended_at = excluded.pause_ended_at,
             payment_method_ref = excluded.payment_method_ref",
    )
    .bind(&subscription.subscription_ref)
    .bind(&subscription.account_id)
    .bind(&subscription.customer_ref)
    .bind(&subscription.status)
    .bind(&subscription.tier)
    .bind(&subscription.price_ref)
    .bind(subscription.period_starts_at)
    .bind(subscription.period_ends_at)
    .bind(subscription.trial_ends_at)
    .bind(subscription.cancel_at_period_end)
    .bind(subscription.canceled_at)
    .bind(subscription.ended_at)
    .bind(subscription.past_due_since)
    .bind(subscription.created_at)
    .bind(subscription.synced_at)
    .bind(subscription.anchor_at)
    .bind(subscription.paused_since)
    .bind(&subscription.pause_behavior)
    .bind(subscription.trial_starts_at)
    .bind(subscription.pause_began_at)
    .bind(subscription.pause_ended_at)
    .bind(&subscription.payment_method_ref)
    .execute(conn)
    .await?;
    Ok(())
}

/// Subscriptions whose period ended before `since` without a word of what followed, and those that
/// an open finding is about: worth another look.
pub async fn overdue(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select subscription_ref from subscriptions s
         where s.status not in ('canceled', 'incomplete_expired')
           and (s.period_ends_at < $1
                or exists (select 1 from findings f
                           where f.subject = s.subscription_ref and f.closed_at is null))
         order by s.synced_at limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await
}
