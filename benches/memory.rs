//! Resident memory of the two roles, idle and after a million jobs.

use std::time::Duration;

use anyhow::Context as _;

use crate::{drain, figures::Goal, ingest, machine, noop, rows::Rows, server::Server};

const JOBS: u64 = 1_000_000;
const WEBHOOKS: usize = 50_000;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let database = server.database("bench_memory").await?;
    let ctx = database.context()?;
    let (address, web) = ingest::serve(&database).await?;
    let worker = database.worker(&[("WORKERS_DEFAULT", "600".to_owned())])?;
    let pids = [
        web.id().context("web ended")?,
        worker.id().context("the worker ended")?,
    ];
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = machine::resident_mb(&pids)?;
    let mut conn = database.connect().await?;
    let mut after = Vec::new();
    for half in [0..JOBS / 2, JOBS / 2..JOBS] {
        noop::store(&ctx.pools.work, half, 1000).await?;
        ingest::load(address, WEBHOOKS / 2, 0.0).await?;
        drain::until(
            &mut conn,
            "select not exists (select 1 from queue.jobs where kind = 'noop')",
        )
        .await?;
        after.push(machine::resident_mb(&pids)?);
    }
    drain::end(vec![worker]).await?;
    rows.value("memory_idle", "MB", vec![idle], Goal::AtMost(60.0));
    rows.value(
        "memory_after_a_million_jobs",
        "MB",
        vec![after[1]],
        Goal::AtMost(60.0),
    );
    rows.ratio(
        "memory_after_a_million_beside_half_a_million",
        "MB",
        vec![(after[1], after[0])],
        Goal::AtMost(1.05),
    );
    Ok(())
}
