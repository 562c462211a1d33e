//! Partitions of a table by time: made ahead, and dropped whole.

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A partitioned table whose partitions are named after their first day (`jobs_20261120`).
#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub schema: &'static str,
    pub name: &'static str,
}

/// Make the partition of `[from, until)`, days of UTC, if it is not there. Rows of a time that has none go to the
/// rest partition, so a late call loses nothing; such a time then keeps living there.
pub async fn ensure(
    conn: &mut PgConnection,
    table: Table,
    from: NaiveDate,
    until: NaiveDate,
) -> sqlx::Result<()> {
    let Table { schema, name } = table;
    let partition = format!("{name}_{}", from.format("%Y%m%d"));
    let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(format!("{schema}.{partition}"))
        .fetch_one(&mut *conn)
        .await?;
    if exists {
        return Ok(());
    }
    let mut tx = conn.begin().await?;
    // Another process may be making the same one; and nobody may wait long behind this.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set local lock_timeout = '2s';
         select pg_advisory_xact_lock(7238113, 10);
         create table if not exists {schema}.{partition} partition of {schema}.{name}
             for values from ('{from} 00:00Z') to ('{until} 00:00Z');
         alter table {schema}.{partition} enable row level security;
         alter table {schema}.{partition} force row level security;",
    )))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Drop the partitions that begin before `keep_from`; answers how many. A drop locks the whole table: behind a
/// backup or a long look it would wait, and everybody behind it. So it gives up soon, and the next run tries again.
pub async fn drop_before(
    conn: &mut PgConnection,
    table: Table,
    keep_from: NaiveDate,
) -> sqlx::Result<usize> {
    let partitions: Vec<String> = sqlx::query_scalar(
        "select child.relname::text from pg_inherits
         join pg_class child on child.oid = inhrelid
         join pg_class parent on parent.oid = inhparent
         join pg_namespace n on n.oid = parent.relnamespace
         where n.nspname = $1 and parent.relname = $2 order by 1",
    )
    .bind(table.schema)
    .bind(table.name)
    .fetch_all(&mut *conn)
    .await?;
    let mut dropped = 0;
    for partition in partitions {
        let begins = partition
            .rsplit_once('_')
            .and_then(|(_, day)| NaiveDate::parse_from_str(day, "%Y%m%d").ok());
        if begins.is_some_and(|begins| begins < keep_from) {
            match drop_one(conn, table.schema, &partition).await {
                Ok(()) => dropped += 1,
                Err(error) => {
                    tracing::warn!(%error, partition, "cannot drop a partition; the next run tries again");
                }
            }
        }
    }
    Ok(dropped)
}

async fn drop_one(conn: &mut PgConnection, schema: &str, partition: &str) -> sqlx::Result<()> {
    let mut tx = conn.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set local lock_timeout = '1s'; drop table {schema}.{partition};"
    )))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
