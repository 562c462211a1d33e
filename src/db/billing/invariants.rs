//! What must be true of the books at any time, in one place: each invariant is a statement that answers the rows which
//! break it. Most are held by the database besides, so that a wrong program cannot break them; then a restored backup, a
//! migration or a hand might.
//!
//! Two say more than a statement can and have their other half in `billing::check`: I4 rates the usage again, I12 asks the
//! timetable.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// One thing that is always true.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// Never renamed: findings name it.
    pub id: &'static str,
    pub says: &'static str,
    /// Selects `subject`, `account_id` and `what` of whatever breaks it, from what changed since `scope.since`.
    sql: Option<&'static str>,
}

/// A row that breaks one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, FromRow, Serialize)]
pub struct Offence {
    pub subject: String,
    pub account_id: String,
    /// In words, with the amounts.
    pub what: String,
}

macro_rules! invariant {
    ($id:literal, $says:literal, $file:literal) => {
        Invariant {
            id: $id,
            says: $says,
            sql: Some(include_str!(concat!("invariants/", $file, ".sql"))),
        }
    };
}

pub const INVARIANTS: [Invariant; 12] = [
    invariant!("I1", "a use is there once", "i1_once"),
    invariant!("I2", "an account's periods tile time", "i2_tiles"),
    invariant!(
        "I3",
        "a use lies in exactly one period",
        "i3_usage_has_its_period"
    ),
    invariant!(
        "I4",
        "charges add up to what the usage costs",
        "i4_revisions_add_up"
    ),
    invariant!(
        "I5",
        "a charge stands on one invoice, its own",
        "i5_charge_on_one_invoice"
    ),
    invariant!(
        "I6",
        "Stripe was asked for what the books say",
        "i6_asked_as_charged"
    ),
    invariant!(
        "I7",
        "a final invoice has its customer's charges, as they were compared",
        "i7_final_as_matched"
    ),
    invariant!(
        "I8",
        "the ledger balances, and expects what invoices say",
        "i8_ledger_balances"
    ),
    invariant!(
        "I9",
        "no key is used longer than Stripe knows it",
        "i9_keys_are_fresh"
    ),
    invariant!(
        "I10",
        "an effect is done once, and stays done",
        "i10_effects_stay_done"
    ),
    invariant!(
        "I11",
        "an order has one number, or gave it back",
        "i11_one_number_an_order"
    ),
    Invariant {
        id: TICKS,
        says: "the timetable ticked at its times, each once",
        sql: None,
    },
];

/// The invariant whose other half rates again.
pub const RATING: &str = "I4";
/// The invariant of the timetable.
pub const TICKS: &str = "I12";

/// What breaks an invariant, at most `limit` of it. With `since` only what changed since then is looked at.
pub async fn offences(
    conn: &mut PgConnection,
    invariant: &Invariant,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<Offence>> {
    let Some(sql) = invariant.sql else {
        return Ok(Vec::new());
    };
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "with scope as (select coalesce($1::timestamptz, '-infinity') as since, $2::timestamptz as now)
         select subject, account_id, what from (\n{sql}\n) as broken order by subject limit $3"
    )))
    .bind(since)
    .bind(now)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Closed periods that somebody pays for and whose usage has settled: every day in them was counted for good more than an
/// hour ago, so whoever came late was rated. Only those that begin at `kept_from` or later, since when usage is kept. The
/// next ones behind `after`, in the order of their ids.
pub async fn settled_periods(
    conn: &mut PgConnection,
    since: Option<DateTime<Utc>>,
    kept_from: DateTime<Utc>,
    now: DateTime<Utc>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "select p.period_id from billing_periods p
         where p.closed_at is not null and p.subscription_ref is not null and p.period_id > $3 and p.starts_at >= $5
           and p.rated_at >= coalesce($1, '-infinity') and p.rated_at < $2 - interval '1 hour'
           and not exists (select 1 from usage_counters c
                           where c.account_id = p.account_id and c.per = 'day'
                             and c.starts_at < p.ends_at and c.ends_at > p.starts_at
                             and (c.closed_at is null or c.closed_at > $2 - interval '1 hour'))
         order by p.period_id limit $4",
    )
    .bind(since)
    .bind(now)
    .bind(after)
    .bind(limit)
    .bind(kept_from)
    .fetch_all(conn)
    .await
}
