//! The start gate and the end of runs, each written in batches: many runs, one commit.
//!
//! A run waits for its own answer, so nothing is acknowledged before it is durable. While Postgres
//! is away the writes are tried again until it is back; the fence makes that harmless.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{claim::interval, lease::Lease};

const BATCH_MAX: usize = 500;

/// How a run ended, as it is stored.
#[derive(Debug)]
pub(super) struct Ending {
    pub outcome: &'static str,
    /// Masked.
    pub note: Option<String>,
    pub later_at: Option<DateTime<Utc>>,
    pub later_in: Option<Duration>,
}

struct Asked<T> {
    lease: Lease,
    what: T,
    answer: oneshot::Sender<bool>,
}

/// The writers of one process; dropped, they end.
#[derive(Clone)]
pub(super) struct Runs {
    starts: mpsc::Sender<Asked<()>>,
    endings: mpsc::Sender<Asked<Ending>>,
}

impl Runs {
    pub fn spawn(pool: PgPool) -> Runs {
        let (starts, start_requests) = mpsc::channel(BATCH_MAX);
        let (endings, end_requests) = mpsc::channel(BATCH_MAX);
        let gate = pool.clone();
        tokio::spawn(serve(start_requests, "start", move |batch| {
            Box::pin(start_all(gate.clone(), batch))
        }));
        tokio::spawn(serve(end_requests, "end", move |batch| {
            Box::pin(end_all(pool.clone(), batch))
        }));
        Runs { starts, endings }
    }

    /// The start gate: whether this run may begin.
    pub async fn start(&self, lease: &Lease) -> bool {
        ask(&self.starts, lease, ()).await
    }

    /// Write how the run ended. False: the job was no longer this run's, nothing was written.
    pub async fn end(&self, lease: &Lease, ending: Ending) -> bool {
        ask(&self.endings, lease, ending).await
    }
}

async fn ask<T>(to: &mpsc::Sender<Asked<T>>, lease: &Lease, what: T) -> bool {
    let (answer, answered) = oneshot::channel();
    let asked = Asked {
        lease: lease.clone(),
        what,
        answer,
    };
    // Without an answer the process is ending: the lease runs out and the job runs elsewhere.
    to.send(asked).await.is_ok() && answered.await.unwrap_or(false)
}

type Written = BoxFuture<'static, sqlx::Result<HashSet<Uuid>>>;

/// Take what has come in, write it as one batch, answer everybody.
async fn serve<T>(
    mut requests: mpsc::Receiver<Asked<T>>,
    write: &'static str,
    run: impl Fn(Arc<Vec<(Lease, T)>>) -> Written,
) {
    let mut asked = Vec::new();
    while requests.recv_many(&mut asked, BATCH_MAX).await > 0 {
        let (batch, answers): (Vec<_>, Vec<_>) = asked
            .drain(..)
            .map(|a| ((a.lease, a.what), a.answer))
            .unzip();
        let batch = Arc::new(batch);
        let held = until_written(&batch, write, &run).await;
        for ((lease, _), answer) in batch.iter().zip(answers) {
            // By the token: two runs of one job may ask in one batch, and one of them holds it.
            let is_held = held.contains(&lease.token);
            if !is_held {
                lease.refused(write);
            }
            // Nobody waits any more: the run was aborted, and its job is written all the same.
            let _ = answer.send(is_held);
        }
    }
}

async fn until_written<T>(
    batch: &Arc<Vec<(Lease, T)>>,
    write: &'static str,
    run: &impl Fn(Arc<Vec<(Lease, T)>>) -> Written,
) -> HashSet<Uuid> {
    let mut pause = Duration::from_millis(20);
    loop {
        match run(batch.clone()).await {
            Ok(held) => return held,
            Err(error) => {
                tracing::warn!(%error, write, runs = batch.len(), "cannot write to the queue; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

/// Most runs began with their claim, and only whether it still stands is asked; what a suspect does
/// next is charged to it, so its start is written.
async fn start_all(pool: PgPool, batch: Arc<Vec<(Lease, ())>>) -> sqlx::Result<HashSet<Uuid>> {
    let (ids, attempts, tokens) = fences(&batch);
    let held: Vec<Uuid> = sqlx::query_scalar(
        "with asked as materialized (
             select job.id, job.lease_token, job.started_at
             from unnest($1::uuid[], $2::integer[], $3::uuid[]) as a (id, attempt, token)
             cross join lateral (
                 select id, lease_token, started_at from queue.jobs
                 where id = a.id and attempt = a.attempt and lease_token = a.token and lease_until > now()
                 offset 0
             ) job
         ),
         begun as (
             update queue.jobs set started_at = now()
             where id = any(array(select id from asked where started_at is null)) and lease_token = any($3)
             returning lease_token
         )
         select lease_token from asked where started_at is not null union all select lease_token from begun",
    )
    .bind(ids)
    .bind(attempts)
    .bind(tokens)
    .fetch_all(&pool)
    .await?;
    Ok(held.into_iter().collect())
}

async fn end_all(pool: PgPool, batch: Arc<Vec<(Lease, Ending)>>) -> sqlx::Result<HashSet<Uuid>> {
    let (ids, attempts, tokens) = fences(&batch);
    let endings = || batch.iter().map(|(_, ending)| ending);
    let held: Vec<Uuid> = sqlx::query_scalar(include_str!("finish.sql"))
        .bind(ids)
        .bind(attempts)
        .bind(tokens)
        .bind(endings().map(|e| e.outcome).collect::<Vec<_>>())
        .bind(endings().map(|e| e.note.as_deref()).collect::<Vec<_>>())
        .bind(endings().map(|e| e.later_at).collect::<Vec<_>>())
        .bind(
            endings()
                .map(|e| e.later_in.map(interval))
                .collect::<Vec<_>>(),
        )
        .fetch_all(&pool)
        .await?;
    Ok(held.into_iter().collect())
}

/// What every write of a run names: job, attempt, token.
pub(super) fn fences<T>(batch: &[(Lease, T)]) -> (Vec<Uuid>, Vec<i32>, Vec<Uuid>) {
    let mut fences = (Vec::new(), Vec::new(), Vec::new());
    for (lease, _) in batch {
        fences.0.push(lease.job_id);
        fences.1.push(lease.attempt);
        fences.2.push(lease.token);
    }
    fences
}
