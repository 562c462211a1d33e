//! The history of finished jobs and runs: a partition per day, made ahead and dropped whole.

use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const DAYS_AHEAD: u64 = 3;
const TABLES: [&str; 2] = ["finished_jobs", "job_attempts"];

/// Make the partitions of today and the days ahead. Rows of a day that has none go to the rest
/// partition, so a late call loses nothing; such a day then keeps living there.
pub async fn ensure_days(conn: &mut PgConnection, today: NaiveDate) -> sqlx::Result<()> {
    for table in TABLES {
        for ahead in 0..=DAYS_AHEAD {
            let day = today + Days::new(ahead);
            if let Err(error) = ensure_day(conn, table, day).await {
                tracing::warn!(%error, table, %day, "cannot make a day's partition; its rows go to the rest");
            }
        }
    }
    Ok(())
}

async fn ensure_day(conn: &mut PgConnection, table: &str, day: NaiveDate) -> sqlx::Result<()> {
    let name = format!("{table}_{}", day.format("%Y%m%d"));
    let exists: bool = sqlx::query_scalar("select to_regclass('queue.' || $1) is not null")
        .bind(&name)
        .fetch_one(&mut *conn)
        .await?;
    if exists {
        return Ok(());
    }
    let mut tx = conn.begin().await?;
    // Another process may be making the same day; and no claim may wait long behind this.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set local lock_timeout = '2s';
         select pg_advisory_xact_lock(7238113, 10);
         create table if not exists queue.{name} partition of queue.{table}
             for values from ('{day}') to ('{}');
         alter table queue.{name} enable row level security;
         alter table queue.{name} force row level security;",
        day + Days::new(1)
    )))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// A drop locks the parent: behind a backup or a long look it would wait, and every end of a run
/// behind it. So it gives up soon.
async fn drop_day(conn: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let mut tx = conn.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set local lock_timeout = '1s'; drop table queue.{name};"
    )))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
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
    let partitions: Vec<String> = sqlx::query_scalar(
        "select child.relname::text from pg_inherits
         join pg_class child on child.oid = inhrelid
         join pg_class parent on parent.oid = inhparent
         join pg_namespace n on n.oid = parent.relnamespace
         where n.nspname = 'queue' and parent.relname = any($1) order by 1",
    )
    .bind(TABLES)
    .fetch_all(&mut *conn)
    .await?;
    for name in partitions {
        let day = name
            .rsplit_once('_')
            .and_then(|(_, day)| NaiveDate::parse_from_str(day, "%Y%m%d").ok());
        if day.is_some_and(|day| day < keep_from) {
            match drop_day(conn, &name).await {
                Ok(()) => pruned.days += 1,
                Err(error) => {
                    tracing::warn!(%error, name, "cannot drop a day; the next run tries again")
                }
            }
        }
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
