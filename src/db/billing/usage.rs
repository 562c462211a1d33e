//! What was used and held in periods: the facts that are rated.

use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::usage::Span;
use uuid::Uuid;

/// More than can be billed; two windows of one period may come to that together.
pub const BEYOND_BILLING: i64 = i64::MAX;

/// What was used of one meter in a period, in millionths; reversals taken off. [`BEYOND_BILLING`] stands for any more.
#[derive(Debug, Clone, FromRow)]
pub struct MeterUsed {
    pub period_id: Uuid,
    pub feature: String,
    pub quantity: i64,
}

/// The usage of these periods, by the time it occurred at. Only of these meters.
pub async fn of_periods(
    conn: &mut PgConnection,
    ids: &[Uuid],
    meters: &[&str],
) -> sqlx::Result<Vec<MeterUsed>> {
    sqlx::query_as(
        "select p.period_id, e.feature, least(sum(e.quantity), 9223372036854775807)::bigint as quantity
         from billing_periods p
         join usage_events e on e.account_id = p.account_id and e.feature = any($2)
          and e.occurred_at >= p.starts_at and e.occurred_at < p.ends_at
         where p.period_id = any($1)
         group by p.period_id, e.feature",
    )
    .bind(ids)
    .bind(meters)
    .fetch_all(conn)
    .await
}

/// A number that was an account's at some time of a period.
#[derive(Debug, Clone, FromRow)]
pub struct NumberHeld {
    pub period_id: Uuid,
    pub number_id: Uuid,
    pub phone_number: String,
}

/// The numbers held in these periods, however shortly.
pub async fn numbers_held(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<NumberHeld>> {
    sqlx::query_as(
        "select p.period_id, n.id as number_id, n.phone_number
         from billing_periods p
         join phone_numbers n on n.account_id = p.account_id and n.phone_number is not null
          and n.purchased_at < p.ends_at and (n.released_at is null or n.released_at > p.starts_at)
         where p.period_id = any($1)
         order by p.period_id, n.id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// What an account used of these meters in a span of time, stored as a period or not: the meter, and how many millionths, [`BEYOND_BILLING`]
/// at most.
pub async fn between(
    conn: &mut PgConnection,
    account_id: &str,
    span: Span,
    meters: &[&str],
) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "select feature, least(sum(quantity), 9223372036854775807)::bigint from usage_events
         where account_id = $1 and feature = any($4) and occurred_at >= $2 and occurred_at < $3
         group by feature",
    )
    .bind(account_id)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .bind(meters)
    .fetch_all(conn)
    .await
}

/// The numbers an account held in a span of time, however shortly.
pub async fn numbers_between(
    conn: &mut PgConnection,
    account_id: &str,
    span: Span,
) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as(
        "select id, phone_number from phone_numbers
         where account_id = $1 and phone_number is not null
           and purchased_at < $3 and (released_at is null or released_at > $2)
         order by id",
    )
    .bind(account_id)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .fetch_all(conn)
    .await
}
