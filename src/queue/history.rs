//! The history of finished jobs and runs: a partition per day, made ahead and dropped whole.

use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::PgConnection;

use crate::db::partitions::{self, Table};

const DAYS_AHEAD: u64 = 3;
const TABLES: [Table; 2] = [
    Table {
        schema: "queue",
        name: "finished_jobs",
    },
    Table {
        schema: "queue",
        name: "job_attempts",
    },
];

/// Make the partitions of today and the days ahead.
pub async fn ensure_days(conn: &mut PgConnection, today: NaiveDate) -> sqlx::Result<()> {
    for table in TABLES {
        for ahead in 0..=DAYS_AHEAD {
            let day = today + Days::new(ahead);
            if let Err(error) = partitions::ensure(conn, table, day, day + Days::new(1)).await {
                tracing::warn!(%error, ?table, %day, "cannot make a day's partition; its rows go to the rest");
            }
        }
    }
    Ok(())
}

/// What a pruning took away.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub days: usize,
    pub rows: u64,
}

/// Drop the days before `keep_from`, and what of ticks and dead jobs is older than `keep_dead_from`.
pub async fn prune(
    conn: &mut PgConnection,
    keep_from: NaiveDate,
    keep_dead_from: DateTime<Utc>,
) -> sqlx::Result<Pruned> {
    let mut pruned = Pruned::default();
    for table in TABLES {
        pruned.days += partitions::drop_before(conn, table, keep_from).await?;
    }
    for sql in [
        "delete from queue.finished_jobs_rest where finished_at < $1::date",
        "delete from queue.job_attempts_rest where finished_at < $1::date",
    ] {
        pruned.rows += sqlx::query(sql)
            .bind(keep_from)
            .execute(&mut *conn)
            .await?
            .rows_affected();
    }
    for sql in [
        "delete from queue.jobs where state = 'dead' and coalesce(started_at, created_at) < $1",
        "delete from queue.cron_ticks where tick_at < $1",
    ] {
        pruned.rows += sqlx::query(sql)
            .bind(keep_dead_from)
            .execute(&mut *conn)
            .await?
            .rows_affected();
    }
    Ok(pruned)
}
