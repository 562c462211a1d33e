//! Invoices: Stripe's as it said last, and our own, which are planned here first.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Invoice {
    pub invoice_id: Uuid,
    pub account_id: String,
    pub customer_ref: String,
    pub subscription_ref: Option<String>,
    /// None until it was made.
    pub stripe_ref: Option<String>,
    pub is_own: bool,
    /// planned, draft, open, paid, void, uncollectible or deleted.
    pub status: String,
    pub billing_reason: Option<String>,
    pub number: Option<String>,
    pub url: Option<String>,
    pub currency: String,
    pub total_minor: i64,
    pub paid_minor: i64,
    pub period_starts_at: Option<DateTime<Utc>>,
    pub period_ends_at: Option<DateTime<Utc>>,
    pub finalizes_at: Option<DateTime<Utc>>,
    pub finalized_at: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub matched_at: Option<DateTime<Utc>>,
    /// What one of our own says that it is to be paid by.
    pub payment_method_ref: Option<String>,
    pub created_at: DateTime<Utc>,
    pub synced_at: DateTime<Utc>,
}

pub async fn load(conn: &mut PgConnection, invoice_id: Uuid) -> sqlx::Result<Option<Invoice>> {
    sqlx::query_as("select * from invoices where invoice_id = $1")
        .bind(invoice_id)
        .fetch_optional(conn)
        .await
}

pub async fn by_ref(conn: &mut PgConnection, stripe_ref: &str) -> sqlx::Result<Option<Invoice>> {
    sqlx::query_as("select * from invoices where stripe_ref = $1")
        .bind(stripe_ref)
        .fetch_optional(conn)
        .await
}

/// An invoice of our own to be.
#[derive(Debug, Clone, Copy)]
pub struct NewInvoice<'a> {
    pub account_id: &'a str,
    pub customer_ref: &'a str,
    pub currency: &'a str,
    pub payment_method_ref: Option<&'a str>,
}

/// Plan an invoice of our own.
pub async fn plan(
    conn: &mut PgConnection,
    new: NewInvoice<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Uuid> {
    let invoice_id = Uuid::now_v7();
    sqlx::query(
        "insert into invoices (invoice_id, account_id, customer_ref, is_own, status, currency, created_at, synced_at,
                               payment_method_ref)
         values ($1, $2, $3, true, 'planned', $4, $5, $5, $6)",
    )
    .bind(invoice_id)
    .bind(new.account_id)
    .bind(new.customer_ref)
    .bind(new.currency)
    .bind(now)
    .bind(new.payment_method_ref)
    .execute(conn)
    .await?;
    Ok(invoice_id)
}

/// One of our own was made at Stripe. Answers which it is there: the first that was told of stays. None: this account
/// planned no such invoice.
pub async fn made(
    conn: &mut PgConnection,
    account_id: &str,
    invoice_id: Uuid,
    stripe_ref: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "update invoices
         set stripe_ref = coalesce(stripe_ref, $3), status = case status when 'planned' then 'draft' else status end
         where invoice_id = $2 and account_id = $1 and is_own
         returning stripe_ref",
    )
    .bind(account_id)
    .bind(invoice_id)
    .bind(stripe_ref)
    .fetch_optional(conn)
    .await
}

/// Take back the plan of an invoice on which nothing was put.
pub async fn forget(conn: &mut PgConnection, invoice_id: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from invoices where invoice_id = $1 and status = 'planned'")
        .bind(invoice_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Those of these that nobody told us of.
pub async fn not_known(
    conn: &mut PgConnection,
    stripe_refs: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select wanted.stripe_ref from unnest($1::text[]) as wanted (stripe_ref)
         where not exists (select 1 from invoices i where i.stripe_ref = wanted.stripe_ref)",
    )
    .bind(stripe_refs)
    .fetch_all(conn)
    .await
}

/// Store an invoice as Stripe said it is. Which account it is of, and whether it is ours, never changes. Answers
/// the id it has here.
pub async fn store(conn: &mut PgConnection, invoice: &Invoice) -> sqlx::Result<Uuid> {
    sqlx::query_scalar(
        "insert into invoices as i
             (invoice_id, account_id, customer_ref, subscription_ref, stripe_ref, is_own, status, billing_reason, number,
              url, currency, total_minor, paid_minor, period_starts_at, period_ends_at, finalizes_at, finalized_at,
              paid_at, attempts, next_attempt_at, created_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
         on conflict (stripe_ref) do update
         set status = excluded.status, number = excluded.number, url = excluded.url, total_minor = excluded.total_minor,
             paid_minor = excluded.paid_minor, period_starts_at = excluded.period_starts_at,
             period_ends_at = excluded.period_ends_at, finalizes_at = excluded.finalizes_at,
             billing_reason = excluded.billing_reason,
             finalized_at = coalesce(excluded.finalized_at, i.finalized_at),
             paid_at = coalesce(excluded.paid_at, i.paid_at), attempts = excluded.attempts,
             next_attempt_at = excluded.next_attempt_at, synced_at = excluded.synced_at
         returning invoice_id",
    )
    .bind(invoice.invoice_id)
    .bind(&invoice.account_id)
    .bind(&invoice.customer_ref)
    .bind(&invoice.subscription_ref)
    .bind(&invoice.stripe_ref)
    .bind(invoice.is_own)
    .bind(&invoice.status)
    .bind(&invoice.billing_reason)
    .bind(&invoice.number)
    .bind(&invoice.url)
    .bind(&invoice.currency)
    .bind(invoice.total_minor)
    .bind(invoice.paid_minor)
    .bind(invoice.period_starts_at)
    .bind(invoice.period_ends_at)
    .bind(invoice.finalizes_at)
    .bind(invoice.finalized_at)
    .bind(invoice.paid_at)
    .bind(invoice.attempts)
    .bind(invoice.next_attempt_at)
    .bind(invoice.created_at)
    .bind(invoice.synced_at)
    .fetch_one(conn)
    .await
}

/// The lines were seen to be right, or no longer are.
pub async fn matched(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    sqlx::query("update invoices set matched_at = $2 where invoice_id = $1")
        .bind(invoice_id)
        .bind(at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Stripe knows it no more. Only a draft can be deleted.
pub async fn deleted(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update invoices set status = 'deleted', finalizes_at = null, synced_at = $2
         where invoice_id = $1 and status in ('draft', 'deleted')",
    )
    .bind(invoice_id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It turned out to be no draft any more; what it is now is still to be asked.
pub async fn is_no_draft(conn: &mut PgConnection, invoice_id: Uuid) -> sqlx::Result<()> {
    sqlx::query(
        "update invoices set status = 'open', finalizes_at = null where invoice_id = $1 and status = 'draft'",
    )
    .bind(invoice_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Stripe's own invoices with charges on them that were not seen to be right.
pub async fn unmatched(conn: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(
        "select stripe_ref, account_id from invoices i
         where matched_at is null and not is_own and stripe_ref is not null and status <> 'deleted'
           and exists (select 1 from charges c where c.invoice_id = i.invoice_id)
         order by created_at limit $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The newest renewal's invoice of a subscription. None: none was told of.
pub async fn newest_renewal(
    conn: &mut PgConnection,
    subscription_ref: &str,
) -> sqlx::Result<Option<Invoice>> {
    sqlx::query_as(
        "select * from invoices
         where subscription_ref = $1 and billing_reason = 'subscription_cycle' and status <> 'deleted'
         order by period_ends_at desc limit 1",
    )
    .bind(subscription_ref)
    .fetch_optional(conn)
    .await
}

/// Invoices of our own that an account has and that are not finalized, oldest first.
pub async fn own_unfinished(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Vec<Invoice>> {
    sqlx::query_as(
        "select * from invoices where account_id = $1 and is_own and status in ('planned', 'draft')
         order by created_at",
    )
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// An invoice that something is not paid of.
#[derive(Debug, Clone, FromRow)]
pub struct Unpaid {
    pub account_id: String,
    pub stripe_ref: String,
    /// Minor units that are left to pay: of the whole, or of our charges on a draft.
    pub due_minor: i64,
    pub currency: String,
}

/// Those that were made out before then, and are still open.
pub async fn own_unpaid(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> sqlx::Result<Vec<Unpaid>> {
    sqlx::query_as(
        "select account_id, stripe_ref, total_minor - paid_minor as due_minor, currency from invoices
         where is_own and status = 'open' and finalized_at < $1 and stripe_ref is not null
         order by finalized_at, stripe_ref",
    )
    .bind(before)
    .fetch_all(conn)
    .await
}

/// Stripe's drafts that were made before then and have charges on them.
pub async fn kept_drafts(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> sqlx::Result<Vec<Unpaid>> {
    sqlx::query_as(
        "select i.account_id, i.stripe_ref, sum(c.amount_minor)::bigint as due_minor, i.currency
         from invoices i join charges c using (invoice_id)
         where i.status = 'draft' and not i.is_own and i.created_at < $1
         group by i.account_id, i.stripe_ref, i.currency order by i.stripe_ref",
    )
    .bind(before)
    .fetch_all(conn)
    .await
}

/// Stripe's drafts that were not looked at since then.
pub async fn stale_drafts(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select stripe_ref from invoices
         where status = 'draft' and synced_at < $1 order by created_at limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await
}
