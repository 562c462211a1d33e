//! What an account's books say of invoices, to be compared with Stripe's.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// An invoice that Stripe should know.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Known {
    pub invoice_id: Uuid,
    pub stripe_ref: String,
    pub account_id: String,
    pub customer_ref: String,
    pub currency: String,
    pub status: String,
    pub matched_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub finalized_at: Option<DateTime<Utc>>,
    /// A request of ours about it is out and not answered.
    pub has_open_call: bool,
}

/// A charge that should stand on an invoice.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Standing {
    pub invoice_id: Uuid,
    pub charge_id: Uuid,
    pub amount_minor: i64,
    pub currency: String,
    /// None: it does not stand there yet, as far as we know.
    pub item_ref: Option<String>,
}

/// Accounts with invoices since then, in their order.
pub async fn accounts(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct account_id from invoices where created_at >= $1 and account_id > $2
         union
         select distinct account_id from findings
         where kind = $4 and closed_at is null and account_id > $2
         order by account_id limit $3",
    )
    .bind(since)
    .bind(after)
    .bind(limit)
    .bind(FINDING)
    .fetch_all(conn)
    .await
}

/// The kind of the findings about invoices that differ from Stripe's.
pub const FINDING: &str = "invoice_drift";

/// Since when an account's invoices are compared: back to the oldest one about which a finding is open.
pub async fn since(
    conn: &mut PgConnection,
    account_id: &str,
    since: DateTime<Utc>,
) -> sqlx::Result<DateTime<Utc>> {
    let oldest: Option<DateTime<Utc>> = sqlx::query_scalar(
        "select min(i.created_at) from findings f join invoices i on i.stripe_ref = f.subject
         where f.kind = $2 and f.closed_at is null and f.account_id = $1",
    )
    .bind(account_id)
    .bind(FINDING)
    .fetch_one(conn)
    .await?;
    Ok(oldest.map_or(since, |oldest| oldest.min(since)))
}

/// The account's invoices since then that Stripe should know.
pub async fn known(
    conn: &mut PgConnection,
    account_id: &str,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<Known>> {
    of_where(
        conn,
        "i.account_id = $1 and i.created_at >= $2 and $3::text[] is null",
        account_id,
        Some(since),
        None,
    )
    .await
}

/// What anybody's books say of these invoices of Stripe's.
pub async fn known_as(conn: &mut PgConnection, stripe_refs: &[String]) -> sqlx::Result<Vec<Known>> {
    of_where(
        conn,
        "i.stripe_ref = any($3) and $1 = '' and $2::timestamptz is null",
        "",
        None,
        Some(stripe_refs),
    )
    .await
}

async fn of_where(
    conn: &mut PgConnection,
    which: &'static str,
    account_id: &str,
    since: Option<DateTime<Utc>>,
    stripe_refs: Option<&[String]>,
) -> sqlx::Result<Vec<Known>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select i.invoice_id, i.stripe_ref, i.account_id, i.customer_ref, i.currency, i.status, i.matched_at, i.created_at,
                i.finalized_at,
                exists (select 1 from provider_calls call
                        where call.account_id = i.account_id and call.provider = 'stripe' and call.state = 'sent'
                          and (call.subject = i.invoice_id::text or split_part(call.subject, ':', 2) = i.invoice_id::text)
                       ) as has_open_call
         from invoices i where i.stripe_ref is not null and {which} order by i.stripe_ref"
    )))
    .bind(account_id)
    .bind(since)
    .bind(stripe_refs)
    .fetch_all(conn)
    .await
}

/// What should stand on these invoices, in a fixed order.
pub async fn standing(conn: &mut PgConnection, invoices: &[Uuid]) -> sqlx::Result<Vec<Standing>> {
    sqlx::query_as(
        "select c.invoice_id, c.charge_id, c.amount_minor, c.currency, call.ext_ref as item_ref
         from charges c
         left join provider_calls call on call.provider = 'stripe' and call.kind = 'add_invoice_item'
          and call.subject = c.charge_id || ':' || c.invoice_id and call.state = 'done'
         where c.invoice_id = any($1) order by c.charge_id",
    )
    .bind(invoices)
    .fetch_all(conn)
    .await
}

/// Invoices of the account that were planned and may have been made at Stripe just now.
pub async fn planned(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "select invoice_id from invoices where account_id = $1 and status = 'planned' order by invoice_id",
    )
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// Every customer of Stripe's for whom the account was or is billed.
pub async fn customers(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select customer_ref from stripe_customers where account_id = $1
         union select customer_ref from invoices where account_id = $1
         order by customer_ref",
    )
    .bind(account_id)
    .fetch_all(conn)
    .await
}
