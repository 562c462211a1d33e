//! What a charge is made of, from its line on an invoice down to the uses.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// A charge with all that is stored of it.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Charge {
    pub charge_id: Uuid,
    pub account_id: String,
    pub period_id: Uuid,
    pub meter: String,
    /// The number a fee is for; empty for usage.
    pub subject: String,
    pub revision: i32,
    pub previous_rated_minor: i64,
    pub rated_minor: i64,
    pub amount_minor: i64,
    /// Millionths of the meter's unit.
    pub quantity: i64,
    pub beyond: i64,
    pub currency: String,
    pub description: String,
    pub waiver: Option<String>,
    pub created_at: DateTime<Utc>,
    pub invoice_id: Option<Uuid>,
    /// The line that it is at Stripe. None: none, as far as we know.
    pub item_ref: Option<String>,
    /// Whether that line was asked for with this amount, on this invoice, for its customer. None: it was not asked for.
    pub is_asked_so: Option<bool>,
}

/// The charges that a line, a charge or an invoice is about: `ii_…`, a charge's id, or `in_…`.
pub async fn charges(conn: &mut PgConnection, named: &str) -> sqlx::Result<Vec<Charge>> {
    sqlx::query_as(
        "select c.charge_id, c.account_id, c.period_id, c.meter, c.subject, c.revision, c.previous_rated_minor,
                c.rated_minor, c.amount_minor, c.quantity, c.beyond, c.currency, c.description, c.waiver, c.created_at,
                c.invoice_id, call.ext_ref as item_ref,
                call.request_sha256
                    = sha256(convert_to(concat_ws(' ', i.stripe_ref, i.customer_ref, c.amount_minor, c.currency), 'UTF8'))
                    as is_asked_so
         from charges c
         left join invoices i on i.invoice_id = c.invoice_id
         left join provider_calls call on call.provider = 'stripe' and call.kind = 'add_invoice_item'
          and call.subject = c.charge_id || ':' || c.invoice_id and call.state = 'done'
         where c.charge_id::text = $1
            or c.invoice_id in (select invoice_id from invoices where stripe_ref = $1)
            or c.charge_id::text in (select split_part(subject, ':', 1) from provider_calls
                                     where provider = 'stripe' and kind = 'add_invoice_item' and ext_ref = $1)
         order by c.created_at, c.charge_id",
    )
    .bind(named)
    .fetch_all(conn)
    .await
}

/// One revision of what a meter of a period comes to.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Revision {
    pub charge_id: Uuid,
    pub revision: i32,
    pub rated_minor: i64,
    pub amount_minor: i64,
}

/// Every revision up to this one, the first one first.
pub async fn revisions(conn: &mut PgConnection, charge: &Charge) -> sqlx::Result<Vec<Revision>> {
    sqlx::query_as(
        "select charge_id, revision, rated_minor, amount_minor from charges
         where period_id = $1 and meter = $2 and subject = $3 and revision <= $4 order by revision",
    )
    .bind(charge.period_id)
    .bind(&charge.meter)
    .bind(&charge.subject)
    .bind(charge.revision)
    .fetch_all(conn)
    .await
}

/// How much was used by what had come until some moment.
#[derive(Debug, Clone, Copy, FromRow, Serialize)]
pub struct Uses {
    pub events: i64,
    /// Millionths; reversals taken off.
    pub quantity: i64,
}

/// The uses of a charge that came until then, in one sum.
pub async fn uses(
    conn: &mut PgConnection,
    charge: &Charge,
    until: DateTime<Utc>,
) -> sqlx::Result<Uses> {
    sqlx::query_as(
        "select count(*) as events, coalesce(sum(e.quantity), 0)::bigint as quantity
         from billing_periods p
         join usage_events e on e.account_id = p.account_id and e.feature = $2
          and e.occurred_at >= p.starts_at and e.occurred_at < p.ends_at and e.received_at <= $3
         where p.period_id = $1",
    )
    .bind(charge.period_id)
    .bind(&charge.meter)
    .bind(until)
    .fetch_one(conn)
    .await
}

/// When uses of a charge came that may have been under way when it was made: the nearest ones first.
pub async fn came_about_then(
    conn: &mut PgConnection,
    charge: &Charge,
    limit: i64,
) -> sqlx::Result<Vec<DateTime<Utc>>> {
    sqlx::query_scalar(
        "select e.received_at
         from billing_periods p
         join usage_events e on e.account_id = p.account_id and e.feature = $2
          and e.occurred_at >= p.starts_at and e.occurred_at < p.ends_at
          and e.received_at between $3::timestamptz - interval '1 minute' and $3::timestamptz + interval '1 minute'
         where p.period_id = $1
         order by abs(extract(epoch from e.received_at - $3)) limit $4",
    )
    .bind(charge.period_id)
    .bind(&charge.meter)
    .bind(charge.created_at)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// One use: a call, a message, an app's report.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Use {
    pub event_id: Uuid,
    pub source: String,
    /// By their id: a CallSid, a MessageSid, an app's key.
    pub source_id: String,
    pub quantity: i64,
    pub occurred_at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub reversal_of: Option<Uuid>,
    /// Of a call or a message that we keep.
    pub from_number: Option<String>,
    pub to_number: Option<String>,
    /// Of a call.
    pub seconds: Option<i32>,
    /// The callback that told of it, while it is kept.
    pub webhook_id: Option<Uuid>,
}

/// The uses of a charge that came until then one by one, as they occurred. Without a limit all of them.
pub async fn list_uses(
    conn: &mut PgConnection,
    charge: &Charge,
    until: DateTime<Utc>,
    limit: Option<i64>,
) -> sqlx::Result<Vec<Use>> {
    sqlx::query_as(
        "select e.event_id, e.source, e.source_id, e.quantity, e.occurred_at, e.received_at, e.reversal_of,
                coalesce(c.from_number, m.from_number) as from_number,
                coalesce(c.to_number, m.to_number) as to_number, c.seconds, told.id as webhook_id
         from (select e.*
               from billing_periods p
               join usage_events e on e.account_id = p.account_id and e.feature = $2
                and e.occurred_at >= p.starts_at and e.occurred_at < p.ends_at and e.received_at <= $3
               where p.period_id = $1
               order by e.occurred_at, e.event_id limit $4) e
         left join calls c on c.account_id = e.account_id and c.call_ref = e.source_id
         left join messages m on m.account_id = e.account_id and m.message_ref = e.source_id
         -- It was stored a moment before its job counted the use.
         left join lateral (select id from webhooks
                            where provider = e.source and state not in ('stored', 'held') and position(':' || e.source_id in event_key) > 0
                              and received_at between e.received_at - interval '10 minutes'
                                                  and e.received_at + interval '1 minute'
                            order by received_at desc limit 1) told on e.source in ('twilio', 'voipms')
         order by e.occurred_at, e.event_id",
    )
    .bind(charge.period_id)
    .bind(&charge.meter)
    .bind(until)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// A webhook that told of an invoice.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Told {
    pub webhook_id: Uuid,
    pub kind: String,
    pub event_key: String,
    pub received_at: DateTime<Utc>,
}

/// The webhooks of Stripe's about an invoice that are still kept, the first one first.
pub async fn webhooks(
    conn: &mut PgConnection,
    invoice_ref: &str,
    made_at: DateTime<Utc>,
) -> sqlx::Result<Vec<Told>> {
    sqlx::query_as(
        "select id as webhook_id, kind, event_key, received_at from webhooks
         where provider = 'stripe' and received_at >= least($2, now()) - interval '1 day'
           and position(convert_to($1, 'UTF8') in body) > 0
         order by received_at, id limit 50",
    )
    .bind(format!("\"{invoice_ref}\""))
    .bind(made_at)
    .fetch_all(conn)
    .await
}
