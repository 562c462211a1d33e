//! One claim, with little and with much in the tables.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::{drain, figures::Goal, noop, rows::Rows, server::Server};

const CLAIMS: usize = 200;
const WANTED: i64 = 20;
/// So many accounts have jobs, in the small and in the large table.
const ACCOUNTS: u64 = 100;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let database = server.database("bench_claims").await?;
    let ctx = database.context()?;
    let mut conn = database.connect().await?;
    let mut pairs = Vec::new();
    for _ in 0..rows.rounds {
        let mut times = Vec::new();
        for jobs in [1_000, 1_000_000] {
            drain::clear(&mut conn).await?;
            noop::store(&ctx.pools.work, 0..jobs, ACCOUNTS).await?;
            finish(&mut conn, jobs).await?;
            drain::settle(&mut conn).await?;
            times.push(median_claim(&mut conn).await?.as_secs_f64() * 1e3);
        }
        pairs.push((times[1], times[0]));
    }
    rows.ratio(
        "claims_with_a_million_jobs_beside_a_thousand",
        "ms",
        pairs,
        Goal::AtMost(2.0),
    );
    Ok(())
}

/// As many finished jobs beside them.
async fn finish(conn: &mut PgConnection, jobs: u64) -> sqlx::Result<()> {
    sqlx::query(
        "insert into queue.finished_jobs (id, kind, key, account_id, lane, priority, state, run_at, attempts_max, failures,
             crashes, attempt, version, payload, created_at, finished_at)
         select gen_random_uuid(), kind, key, account_id, lane, priority, 'done', run_at, attempts_max, 0, 0, 1, version,
                payload, created_at, now() from queue.jobs",
    )
    .execute(conn)
    .await
    .map(|stored| debug_assert_eq!(stored.rows_affected(), jobs))
}

/// The claim as the product sends it, rolled back.
async fn median_claim(conn: &mut PgConnection) -> sqlx::Result<Duration> {
    let mut times = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let mut tx = conn.begin().await?;
        let begun = Instant::now();
        let claimed = sqlx::query(
            "select * from queue.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind("default")
        .bind(WANTED)
        .bind("")
        .bind(i16::MIN)
        .bind(chrono::DateTime::UNIX_EPOCH)
        .bind(uuid::Uuid::nil())
        .bind(2_i64)
        .bind(sqlx::postgres::types::PgInterval {
            months: 0,
            days: 0,
            microseconds: 30_000_000,
        })
        .bind("bench")
        .bind(vec!["noop".to_owned()])
        .bind(true)
        .bind(uuid::Uuid::new_v4())
        .fetch_all(&mut *tx)
        .await?;
        times.push(begun.elapsed());
        assert_eq!(claimed.len(), WANTED as usize);
        tx.rollback().await?;
    }
    times.sort();
    Ok(times[times.len() / 2])
}
