//! No-op jobs through claim, start gate, run and end, by worker processes.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::{process::Child, time::Instant};

use crate::{
    figures::Goal,
    noop, plain,
    rows::Rows,
    server::{Database, Server},
};

pub const JOBS: u64 = 100_000;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let (mut one, mut two, mut spread) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows.rounds {
        let database = server.database("bench_drain").await?;
        let cycles = plain::cycles(server, &database).await?;
        let by_one = drained(&database, 1, 0).await?;
        one.push((by_one, cycles));
        two.push((drained(&database, 2, 0).await?, by_one));
        spread.push((drained(&database, 1, 1000).await?, cycles));
    }
    rows.ratio("drain_by_one_worker", "jobs/s", one, Goal::AtLeast(1.0));
    rows.ratio(
        "drain_by_two_workers_beside_one",
        "jobs/s",
        two,
        Goal::AtLeast(1.0),
    );
    rows.ratio(
        "drain_of_1000_accounts",
        "jobs/s",
        spread,
        Goal::AtLeast(0.0),
    );
    Ok(())
}

/// Jobs a second from the moment the first was claimed to the end of the last.
async fn drained(database: &Database, workers: usize, accounts: u64) -> anyhow::Result<f64> {
    let ctx = database.context()?;
    let mut conn = database.connect().await?;
    clear(&mut conn).await?;
    noop::store(&ctx.pools.work, 0..JOBS, accounts).await?;
    settle(&mut conn).await?;
    let settings = [("WORKERS_PER_ACCOUNT_MAX", "1000".to_owned())];
    let running: Vec<Child> = (0..workers)
        .map(|_| database.worker(&settings))
        .collect::<anyhow::Result<_>>()?;
    until(
        &mut conn,
        "select exists (select 1 from queue.jobs where state = 'running')",
    )
    .await?;
    let begun = Instant::now();
    until(&mut conn, "select not exists (select 1 from queue.jobs)").await?;
    let seconds = begun.elapsed().as_secs_f64();
    end(running).await?;
    let done: i64 =
        sqlx::query_scalar("select count(*) from queue.finished_jobs where state = 'done'")
            .fetch_one(&mut conn)
            .await?;
    anyhow::ensure!(done as u64 == JOBS, "{done} of {JOBS} jobs done");
    conn.close().await?;
    Ok(JOBS as f64 / seconds)
}

/// What autovacuum and the checkpointer would do in time.
pub async fn settle(conn: &mut PgConnection) -> sqlx::Result<()> {
    for sql in [
        "vacuum analyze queue.jobs",
        "vacuum analyze queue.finished_jobs",
        "checkpoint",
    ] {
        sqlx::raw_sql(sql).execute(&mut *conn).await?;
    }
    Ok(())
}

/// An empty queue.
pub async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("truncate queue.jobs, queue.finished_jobs, queue.job_attempts")
        .execute(conn)
        .await
        .map(drop)
}

pub async fn until(conn: &mut PgConnection, holds: &'static str) -> sqlx::Result<()> {
    while !sqlx::query_scalar::<_, bool>(holds)
        .fetch_one(&mut *conn)
        .await?
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Tell workers to stop and wait until they did; gives what each printed.
pub async fn end(workers: Vec<Child>) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut printed = Vec::new();
    for worker in workers {
        if let Some(pid) = worker.id() {
            unsafe { libc::kill(pid as i32, libc::SIGTERM) };
        }
        printed.push(worker.wait_with_output().await?.stdout);
    }
    Ok(printed)
}
