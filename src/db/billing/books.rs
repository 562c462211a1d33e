//! An account's bills as a person reads them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// A period and what it came to.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Period {
    pub period_id: Uuid,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub tier: String,
    pub waiver: Option<String>,
    pub closed_at: Option<DateTime<Utc>>,
    pub charges: i64,
    /// Minor units: of all its charges, of those that are not waived, and of those of these on an invoice.
    pub rated_minor: i64,
    pub owed_minor: i64,
    pub invoiced_minor: i64,
}

/// An account's periods, the newest first.
pub async fn periods(
    conn: &mut PgConnection,
    account_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<Period>> {
    sqlx::query_as(
        "select p.period_id, p.starts_at, p.ends_at, p.tier, p.waiver, p.closed_at, count(c.charge_id) as charges,
                coalesce(sum(c.amount_minor), 0)::bigint as rated_minor,
                coalesce(sum(c.amount_minor) filter (where c.waiver is null), 0)::bigint as owed_minor,
                coalesce(sum(c.amount_minor) filter (where c.invoice_id is not null), 0)::bigint as invoiced_minor
         from billing_periods p left join charges c using (period_id)
         where p.account_id = $1 group by p.period_id order by p.starts_at desc limit $2",
    )
    .bind(account_id)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// An invoice and what of it is usage.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Invoice {
    pub invoice_id: Uuid,
    pub stripe_ref: Option<String>,
    pub number: Option<String>,
    pub status: String,
    pub is_own: bool,
    pub currency: String,
    pub total_minor: i64,
    pub paid_minor: i64,
    pub usage_minor: i64,
    pub created_at: DateTime<Utc>,
    pub matched_at: Option<DateTime<Utc>>,
}

/// An account's invoices, the newest first.
pub async fn invoices(
    conn: &mut PgConnection,
    account_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    sqlx::query_as(
        "select i.invoice_id, i.stripe_ref, i.number, i.status, i.is_own, i.currency, i.total_minor, i.paid_minor,
                coalesce((select sum(amount_minor) from charges c where c.invoice_id = i.invoice_id), 0)::bigint
                    as usage_minor,
                i.created_at, i.matched_at
         from invoices i where i.account_id = $1 order by i.created_at desc, i.invoice_id limit $2",
    )
    .bind(account_id)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// What an account was billed and has paid.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Totals {
    pub account_id: String,
    /// Charges on invoices, and those on none that are to be paid.
    pub billed_minor: i64,
    pub owed_minor: i64,
    /// What its invoices brought in and was not given back.
    pub cash_minor: i64,
}

/// The totals of every account.
pub async fn totals(conn: &mut PgConnection) -> sqlx::Result<Vec<Totals>> {
    sqlx::query_as(
        "select account_id, coalesce(billed_minor, 0)::bigint as billed_minor,
                coalesce(owed_minor, 0)::bigint as owed_minor, coalesce(cash_minor, 0)::bigint as cash_minor
         from accounts
         left join (select account_id, sum(amount_minor) filter (where invoice_id is not null) as billed_minor,
                           sum(amount_minor) filter (where invoice_id is null and waiver is null) as owed_minor
                    from charges group by account_id) charged using (account_id)
         left join (select account_id, sum(debit_minor - credit_minor) as cash_minor
                    from ledger_entries where ledger_account = 'cash' group by account_id) paid using (account_id)
         order by account_id",
    )
    .fetch_all(conn)
    .await
}

/// A line of a period's export.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Exported {
    pub charge_id: Uuid,
    pub meter: String,
    pub subject: String,
    pub revision: i32,
    pub quantity: i64,
    pub beyond: i64,
    pub amount_minor: i64,
    pub currency: String,
    pub description: String,
    pub waiver: Option<String>,
    pub created_at: DateTime<Utc>,
    pub invoice_ref: Option<String>,
    pub invoice_number: Option<String>,
    pub item_ref: Option<String>,
}

/// Every charge of a period.
pub async fn export(conn: &mut PgConnection, period_id: Uuid) -> sqlx::Result<Vec<Exported>> {
    sqlx::query_as(
        "select c.charge_id, c.meter, c.subject, c.revision, c.quantity, c.beyond, c.amount_minor, c.currency,
                c.description, c.waiver, c.created_at, i.stripe_ref as invoice_ref, i.number as invoice_number,
                call.ext_ref as item_ref
         from charges c
         left join invoices i using (invoice_id)
         left join provider_calls call on call.provider = 'stripe' and call.kind = 'add_invoice_item'
          and call.subject = c.charge_id || ':' || c.invoice_id and call.state = 'done'
         where c.period_id = $1 order by c.meter, c.subject, c.revision",
    )
    .bind(period_id)
    .fetch_all(conn)
    .await
}
