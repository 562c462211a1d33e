//! How long usage is kept: months of events ahead and behind, and what is old enough to be forgotten.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use sqlx::PgConnection;

use crate::db::partitions::{self, Table};

const EVENTS: Table = Table {
    schema: "public",
    name: "usage_events",
};
const MONTHS_AHEAD: u32 = 3;
const BATCH_MAX: i64 = 10_000;
/// In one run; a run is due every hour.
const BATCHES_MAX: usize = 20;

/// Make the partitions of this month and the months ahead.
pub async fn ensure_months(conn: &mut PgConnection, today: NaiveDate) -> sqlx::Result<()> {
    let first = today.with_day(1).unwrap_or(today);
    for ahead in 0..=MONTHS_AHEAD {
        let month = first + Months::new(ahead);
        let next = month + Months::new(1);
        if let Err(error) = partitions::ensure(conn, EVENTS, month, next).await {
            tracing::warn!(%error, %month, "cannot make a month's partition; its events go to the rest");
        }
    }
    Ok(())
}

/// Forget the events of the months before `events_from`, with their keys and counters, and the holds that ended
/// before `holds_from`. Answers how many; what is too much for one run the next one takes.
pub async fn forget(
    conn: &mut PgConnection,
    events_from: NaiveDate,
    holds_from: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let mut forgotten = partitions::drop_before(conn, EVENTS, events_from).await? as u64;
    let events_from = events_from.and_time(NaiveTime::MIN).and_utc();
    for (sql, before) in [
        (
            "delete from usage_events_rest where ctid = any(array(
                 select ctid from usage_events_rest where occurred_at < $1 limit $2))",
            events_from,
        ),
        (
            "delete from usage_keys where ctid = any(array(
                 select ctid from usage_keys where created_at < $1 limit $2))",
            events_from,
        ),
        (
            "delete from usage_counters where ctid = any(array(
                 select ctid from usage_counters where starts_at < $1 - interval '32 days' and ends_at < $1 limit $2))",
            events_from,
        ),
        (
            "delete from usage_holds where ctid = any(array(
                 select ctid from usage_holds where created_at < $1 and expires_at < $1 limit $2))",
            holds_from,
        ),
    ] {
        forgotten += delete_in_batches(conn, sql, before).await?;
    }
    Ok(forgotten)
}

async fn delete_in_batches(
    conn: &mut PgConnection,
    sql: &'static str,
    before: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let mut deleted = 0;
    for _ in 0..BATCHES_MAX {
        let done = sqlx::query(sql)
            .bind(before)
            .bind(BATCH_MAX)
            .execute(&mut *conn)
            .await?;
        deleted += done.rows_affected();
        if done.rows_affected() < BATCH_MAX as u64 {
            break;
        }
    }
    Ok(deleted)
}
