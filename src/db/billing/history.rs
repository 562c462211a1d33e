//! What an account's user is shown of the past: invoices that were finalized, and what happened to their money.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

/// An invoice that was sent.
#[derive(Debug, Clone, FromRow)]
pub struct SentInvoice {
    pub stripe_ref: String,
    /// open, paid, void or uncollectible.
    pub status: String,
    pub billing_reason: Option<String>,
    /// Ours: of usage alone.
    pub is_own: bool,
    pub number: Option<String>,
    pub url: Option<String>,
    pub currency: String,
    /// Minor units.
    pub total_minor: i64,
    pub period_starts_at: Option<DateTime<Utc>>,
    pub period_ends_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// The invoices of an account that were finalized, newest first.
pub async fn invoices(
    conn: &mut PgConnection,
    account_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<SentInvoice>> {
    sqlx::query_as(
        "select stripe_ref, status, billing_reason, is_own, number, url, currency, total_minor, period_starts_at,
                period_ends_at, created_at
         from invoices
         where account_id = $1 and stripe_ref is not null and status in ('open', 'paid', 'void', 'uncollectible')
         order by created_at desc, invoice_id desc limit $2",
    )
    .bind(account_id)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Something that happened to an account's money.
#[derive(Debug, Clone, FromRow)]
pub struct BillingEvent {
    pub event_type: String,
    /// Minor units. None: it is about no amount.
    pub amount_minor: Option<i64>,
    pub currency: Option<String>,
    pub description: String,
    pub occurred_at: DateTime<Utc>,
}

/// What happened to an account's money, newest first.
pub async fn events(
    conn: &mut PgConnection,
    account_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<BillingEvent>> {
    sqlx::query_as(
        "select event_type, amount_minor, currency, description, occurred_at from billing_events
         where account_id = $1 order by occurred_at desc, event_id desc limit $2",
    )
    .bind(account_id)
    .bind(limit)
    .fetch_all(conn)
    .await
}
