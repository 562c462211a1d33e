//! A worker with nothing to do: how soon it starts what comes, and what it costs.

use std::time::Duration;

use anyhow::Context as _;
use tollkeeper::queue;
use tollkeeper_jobs::NewJob;

use crate::{
    drain,
    figures::Goal,
    machine,
    noop::{self, Noop},
    rows::Rows,
    server::Server,
};

const JOBS: u64 = 200;
const CPU_OVER: Duration = Duration::from_secs(20);

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let (mut p50, mut p99, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows.rounds {
        let database = server.database("bench_idle").await?;
        let ctx = database.context()?;
        let told = tokio_util::sync::CancellationToken::new();
        tokio::spawn(
            ctx.wake
                .clone()
                .tell_others(ctx.pools.queue.clone(), told.clone()),
        );
        let worker = database.worker(&[])?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        for number in 0..JOBS {
            // Out of step with every poll.
            tokio::time::sleep(Duration::from_millis(rand::random_range(110..160))).await;
            let mut tx = ctx.pools.work.begin().await?;
            let job = Noop {
                number,
                account_id: None,
                asked_at: Some(noop::micros()),
            };
            queue::enqueue_all(&mut tx, &[NewJob::of(&job)]).await?;
            tx.commit().await?;
            ctx.wake.ring();
        }
        let mut conn = database.connect().await?;
        drain::until(&mut conn, "select not exists (select 1 from queue.jobs)").await?;
        told.cancel();
        let printed = drain::end(vec![worker]).await?;
        let mut waits: Vec<u64> = serde_json::from_slice(&printed[0])?;
        waits.sort();
        p50.push(waits[waits.len() / 2] as f64 / 1e3);
        p99.push(waits[waits.len() * 99 / 100] as f64 / 1e3);

        let worker = database.product("worker", &[("WORKERS_DEFAULT", "16".to_owned())])?;
        let pid = worker.id().context("the worker ended")?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = machine::cpu_seconds(pid)?;
        tokio::time::sleep(CPU_OVER).await;
        cpu.push((machine::cpu_seconds(pid)? - before) / CPU_OVER.as_secs_f64() * 100.0);
        drain::end(vec![worker]).await?;
    }
    rows.value("idle_enqueue_to_start_p50", "ms", p50, Goal::AtMost(3.0));
    rows.value("idle_enqueue_to_start_p99", "ms", p99, Goal::AtMost(10.0));
    rows.value("idle_worker_cpu", "%", cpu, Goal::AtMost(1.0));
    Ok(())
}
