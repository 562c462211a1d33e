//! Draining while somebody's long transaction keeps every dead row from being cleared away.

use std::time::Duration;

use sqlx::{Connection, Executor};
use tokio::time::Instant;

use crate::{
    drain,
    figures::Goal,
    noop,
    rows::Rows,
    server::{Database, Server},
};

const HELD_FOR: Duration = Duration::from_secs(60);
/// The queue is kept about this full.
const READY: u64 = 50_000;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for _ in 0..rows.rounds {
        let database = server.database("bench_snapshot").await?;
        let without = rate(&database, false).await?;
        pairs.push((rate(&database, true).await?, without));
    }
    rows.ratio(
        "snapshot_drain_beside_an_open_one",
        "jobs/s",
        pairs,
        Goal::AtLeast(0.7),
    );
    Ok(())
}

/// Jobs a second over a minute in which the queue never runs dry.
async fn rate(database: &Database, is_snapshot_open: bool) -> anyhow::Result<f64> {
    let ctx = database.context()?;
    let mut conn = database.connect().await?;
    drain::clear(&mut conn).await?;
    noop::store(&ctx.pools.work, 0..READY, 0).await?;
    let mut holder = database.connect().await?;
    let mut snapshot = None;
    if is_snapshot_open {
        let mut tx = holder
            .begin_with("begin isolation level repeatable read")
            .await?;
        tx.execute("select count(*) from queue.jobs").await?;
        snapshot = Some(tx);
    }
    let worker = database.worker(&[])?;
    let before = finished_about(&mut conn).await?;
    let begun = Instant::now();
    let mut next = READY;
    while begun.elapsed() < HELD_FOR {
        let wanted = finished_about(&mut conn).await? - before + READY;
        if wanted > next {
            noop::store(&ctx.pools.work, next..wanted, 0).await?;
            next = wanted;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let done: i64 = sqlx::query_scalar("select count(*) from queue.finished_jobs")
        .fetch_one(&mut conn)
        .await?;
    drop(snapshot);
    drain::end(vec![worker]).await?;
    Ok(done as f64 / seconds)
}

/// By the server's statistics, a second late: counting would cost more than the drain.
async fn finished_about(conn: &mut sqlx::PgConnection) -> sqlx::Result<u64> {
    let done: i64 = sqlx::query_scalar(
        "select coalesce(sum(n_tup_ins), 0)::bigint from pg_stat_user_tables
         where schemaname = 'queue' and relname like 'finished_jobs%'",
    )
    .fetch_one(conn)
    .await?;
    Ok(done as u64)
}
