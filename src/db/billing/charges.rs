//! What is owed. What a charge comes to is never changed: only the invoice it is on is written to it, and that it is waived
//! where it would give back what nobody paid.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// A revision to store.
#[derive(Debug, Clone)]
pub struct NewCharge {
    pub charge_id: Uuid,
    pub account_id: String,
    pub period_id: Uuid,
    pub meter: String,
    /// The number a fee is for; empty for usage.
    pub subject: String,
    pub revision: i32,
    pub previous_rated_minor: i64,
    pub rated_minor: i64,
    /// Millionths of the meter's unit.
    pub quantity: i64,
    pub beyond: i64,
    pub currency: String,
    pub description: String,
    pub waiver: Option<&'static str>,
}

/// Of a charge, and of its invoice `i` if it is on one: what stands on it was given up, or takes such back.
const NOBODY_PAID: &str = "waiver = 'invoice_voided' or i.status in ('void', 'uncollectible')";

/// What a meter of a period came to last.
#[derive(Debug, Clone, FromRow)]
pub struct LastRevision {
    pub period_id: Uuid,
    pub meter: String,
    pub subject: String,
    pub revision: i32,
    pub rated_minor: i64,
    /// What of it stands on invoices that were voided or written off, less what was taken back of that.
    pub unpaid_minor: Option<i64>,
}

/// A charge as stored.
#[derive(Debug, Clone, FromRow)]
pub struct Charge {
    pub charge_id: Uuid,
    pub account_id: String,
    pub period_id: Uuid,
    pub meter: String,
    pub subject: String,
    pub revision: i32,
    pub amount_minor: i64,
    pub quantity: i64,
    pub beyond: i64,
    pub currency: String,
    pub description: String,
    pub waiver: Option<String>,
    pub invoice_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub customer_ref: Option<String>,
    pub subscription_ref: Option<String>,
    /// It came after its period had been closed.
    pub is_late: bool,
}

const COLUMNS: &str = "c.charge_id, c.account_id, c.period_id, c.meter, c.subject, c.revision, c.amount_minor,
     c.quantity, c.beyond, c.currency, c.description, c.waiver, c.invoice_id, c.created_at, p.starts_at, p.ends_at,
     p.customer_ref, p.subscription_ref, c.created_at > p.closed_at as is_late";

/// The last revision of everything that was charged for these periods.
pub async fn last_revisions(
    conn: &mut PgConnection,
    period_ids: &[Uuid],
) -> sqlx::Result<Vec<LastRevision>> {
    // Period by period: of a table that grows by all that is charged at a month's end, the planner thinks that so many
    // periods are most of it, and reads it all.
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select last.* from unnest($1::uuid[]) as wanted (period_id)
         cross join lateral (
             select distinct on (meter, subject) period_id, meter, subject, revision, rated_minor,
                    (sum(amount_minor) filter (where {NOBODY_PAID})
                        over (partition by meter, subject))::bigint as unpaid_minor
             from charges left join invoices i using (invoice_id)
             where period_id = wanted.period_id
             order by meter, subject, revision desc) as last"
    )))
    .bind(period_ids)
    .fetch_all(conn)
    .await
}

/// Store revisions. One that another run stored meanwhile is an error: periods are rated under their account's lock.
pub async fn insert(
    conn: &mut PgConnection,
    charges: &[NewCharge],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    fn column<'a, T>(charges: &'a [NewCharge], of: impl Fn(&'a NewCharge) -> T) -> Vec<T> {
        charges.iter().map(of).collect()
    }
    sqlx::query(
        "insert into charges (charge_id, account_id, period_id, meter, subject, revision, previous_revision,
                              previous_rated_minor, rated_minor, amount_minor, quantity, beyond, currency,
                              description, waiver, created_at)
         select charge_id, account_id, period_id, meter, subject, revision, nullif(revision - 1, 0), previous_rated_minor,
                rated_minor, rated_minor - previous_rated_minor, quantity, beyond, currency, description, waiver, $14
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::integer[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[])
             as charge (charge_id, account_id, period_id, meter, subject, revision, previous_rated_minor, rated_minor,
                        quantity, beyond, currency, description, waiver)",
    )
    .bind(column(charges, |c| c.charge_id))
    .bind(column(charges, |c| c.account_id.as_str()))
    .bind(column(charges, |c| c.period_id))
    .bind(column(charges, |c| c.meter.as_str()))
    .bind(column(charges, |c| c.subject.as_str()))
    .bind(column(charges, |c| c.revision))
    .bind(column(charges, |c| c.previous_rated_minor))
    .bind(column(charges, |c| c.rated_minor))
    .bind(column(charges, |c| c.quantity))
    .bind(column(charges, |c| c.beyond))
    .bind(column(charges, |c| c.currency.as_str()))
    .bind(column(charges, |c| c.description.as_str()))
    .bind(column(charges, |c| c.waiver))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// What an account owes that is on no invoice, oldest first.
pub async fn unplaced(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<Charge>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from charges c join billing_periods p using (period_id)
         where c.account_id = $1 and c.invoice_id is null and c.waiver is null
         order by p.ends_at, c.meter, c.subject, c.revision"
    )))
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// The charges of an invoice, in the order in which they stand on it.
pub async fn of_invoice(conn: &mut PgConnection, invoice_id: Uuid) -> sqlx::Result<Vec<Charge>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from charges c join billing_periods p using (period_id)
         where c.invoice_id = $1
         order by p.ends_at, c.meter, c.subject, c.revision"
    )))
    .bind(invoice_id)
    .fetch_all(conn)
    .await
}

/// A charge of an invoice, and the line that it is at Stripe. None: it does not stand there yet, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct InvoiceLine {
    pub charge_id: Uuid,
    pub amount_minor: i64,
    pub currency: String,
    pub item_ref: Option<String>,
}

/// What should stand on an invoice, in a fixed order.
pub async fn lines_of(conn: &mut PgConnection, invoice_id: Uuid) -> sqlx::Result<Vec<InvoiceLine>> {
    sqlx::query_as(
        "select c.charge_id, c.amount_minor, c.currency, call.ext_ref as item_ref
         from charges c
         left join provider_calls call on call.provider = 'stripe' and call.kind = 'add_invoice_item'
          and call.subject = c.charge_id || ':' || c.invoice_id and call.state = 'done'
         where c.invoice_id = $1 order by c.charge_id",
    )
    .bind(invoice_id)
    .fetch_all(conn)
    .await
}

/// Put charges that are on no invoice on this one. Answers how many it took.
pub async fn place(
    conn: &mut PgConnection,
    charge_ids: &[Uuid],
    invoice_id: Uuid,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update charges set invoice_id = $2
         where charge_id = any($1) and invoice_id is null and waiver is null",
    )
    .bind(charge_ids)
    .bind(invoice_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// What takes back usage of an invoice that was voided or written off meanwhile, and is on none yet, gives nothing back: as
/// far as nobody paid for it. One that takes back more than that is waived whole, and what it gives back all the same is
/// a revision of its own, behind one that undoes as much of the waiver.
pub async fn waive_unpaid(
    conn: &mut PgConnection,
    invoice_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "with unpaid as (
             select period_id, meter, subject,
                    sum(amount_minor) filter (where {NOBODY_PAID}) as minor
             from charges left join invoices i using (invoice_id)
             where (period_id, meter, subject) in (select period_id, meter, subject from charges where invoice_id = $1)
             group by 1, 2, 3
         ),
         taking as (
             select c.charge_id, u.minor,
                    sum(-c.amount_minor) over (partition by c.period_id, c.meter, c.subject order by c.revision) as so_far
             from charges c join unpaid u using (period_id, meter, subject)
             where c.invoice_id is null and c.waiver is null and c.amount_minor < 0
         ),
         waived as (
             update charges c set waiver = 'invoice_voided' from taking
             where c.charge_id = taking.charge_id and taking.so_far + c.amount_minor < taking.minor
             returning c.period_id, c.meter, c.subject, taking.so_far - taking.minor as beyond_that
         ),
         last as (
             select distinct on (c.period_id, c.meter, c.subject) c.*, waived.beyond_that::bigint
             from waived join charges c using (period_id, meter, subject)
             where waived.beyond_that > 0
             order by c.period_id, c.meter, c.subject, c.revision desc
         )
         insert into charges (charge_id, account_id, period_id, meter, subject, revision, previous_revision,
                              previous_rated_minor, rated_minor, amount_minor, quantity, beyond, currency,
                              description, waiver, created_at)
         select gen_random_uuid(), account_id, period_id, meter, subject, revision + step, revision + step - 1,
                case step when 1 then rated_minor else rated_minor + beyond_that end,
                case step when 1 then rated_minor + beyond_that else rated_minor end,
                case step when 1 then beyond_that else -beyond_that end,
                quantity, beyond, currency, description, case step when 1 then 'invoice_voided' end, $2
         from last cross join generate_series(1, 2) as step"
    )))
    .bind(invoice_id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// How much of what stands on an invoice was taken back and not given back, since nobody had paid for it; minor units.
pub async fn taken_back_unpaid(conn: &mut PgConnection, invoice_id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select coalesce(-sum(amount_minor), 0)::bigint from charges
         where waiver = 'invoice_voided'
           and (period_id, meter, subject) in (select period_id, meter, subject from charges where invoice_id = $1)",
    )
    .bind(invoice_id)
    .fetch_one(conn)
    .await
}

/// Take charges off an invoice on which they do not stand.
pub async fn take_off(
    conn: &mut PgConnection,
    charge_ids: &[Uuid],
    invoice_id: Uuid,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update charges set invoice_id = null where charge_id = any($1) and invoice_id = $2",
    )
    .bind(charge_ids)
    .bind(invoice_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Whether this charge is on this invoice, locked until the transaction ends.
pub async fn is_on(
    conn: &mut PgConnection,
    charge_id: Uuid,
    invoice_id: Uuid,
) -> sqlx::Result<bool> {
    let on: Option<Uuid> = sqlx::query_scalar(
        "select charge_id from charges where charge_id = $1 and invoice_id = $2 for share",
    )
    .bind(charge_id)
    .bind(invoice_id)
    .fetch_optional(conn)
    .await?;
    Ok(on.is_some())
}

/// What each of the last periods of an account before this instant came to, the newest first. Waived ones are left out.
pub async fn totals_before(
    conn: &mut PgConnection,
    account_id: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "select coalesce((select sum(c.amount_minor) from charges c where c.period_id = p.period_id), 0)::bigint
         from billing_periods p
         where p.account_id = $1 and p.ends_at <= $2 and p.closed_at is not null and p.waiver is null
           and p.subscription_ref is not null
         order by p.ends_at desc limit $3",
    )
    .bind(account_id)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// What a period comes to, all revisions together.
pub async fn total_of(conn: &mut PgConnection, period_id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select coalesce(sum(amount_minor), 0)::bigint from charges where period_id = $1",
    )
    .bind(period_id)
    .fetch_one(conn)
    .await
}

/// Who owes something since before then that is on no invoice, or on one that could not be made: the account, how much in minor units, and the currency.
pub async fn owed_for_long(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<(String, i64, String)>> {
    sqlx::query_as(
        "select c.account_id, sum(c.amount_minor)::bigint, c.currency
         from charges c left join invoices i using (invoice_id)
         where c.waiver is null and (c.invoice_id is null or i.status = 'planned')
         group by c.account_id, c.currency having min(c.created_at) < $1 order by 1, 3",
    )
    .bind(since)
    .fetch_all(conn)
    .await
}

/// Accounts that owe something that is on no invoice, or have an invoice of ours that is not finalized.
pub async fn accounts_unfinished(
    conn: &mut PgConnection,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select account_id from (
             select account_id from charges where invoice_id is null and waiver is null and account_id > $1
             union
             select account_id from invoices where status in ('planned', 'draft') and is_own and account_id > $1
         ) as unfinished
         order by account_id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
}
