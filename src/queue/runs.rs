//! The start gate and the end of runs, each written in batches: many runs, one commit.
//!
//! A run waits for its own answer, so nothing is acknowledged before it is durable. While Postgres
//! is away the writes are tried again until it is back; the fence makes that harmless.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{claim::interval, lease::Lease};
use crate::db::Kept;

const BATCH_MAX: usize = 500;
/// How long an end waits for whoever has its job's row locked, before it asks again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How a run ended, as it is stored.
#[derive(Debug)]
pub(super) struct Ending {
    pub outcome: &'static str,
    /// Masked.
    pub note: Option<String>,
    pub later_at: Option<DateTime<Utc>>,
    pub later_in: Option<Duration>,
}

/// That a run begins.
#[derive(Debug)]
struct Start;

/// What is written of a run, in one statement with others of its sort.
trait Write: Sized + Send + Sync + 'static {
    /// In logs and metrics.
    const NAME: &'static str;

    /// Write a batch, and answer what became of each, in the same order.
    fn write(
        conn: &mut PgConnection,
        batch: &[Asked<Self>],
    ) -> impl Future<Output = sqlx::Result<Vec<Fate>>> + Send;
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Written,
    /// The job is no longer this run's.
    Refused,
    /// An open transaction has the job's row locked.
    InUse,
}

struct Asked<W> {
    lease: Lease,
    what: W,
    answer: oneshot::Sender<bool>,
}

/// The writers of one process; dropped, they end.
#[derive(Clone)]
pub(super) struct Runs {
    starts: mpsc::Sender<Asked<Start>>,
    endings: mpsc::Sender<Asked<Ending>>,
}

impl Runs {
    pub fn spawn(pool: PgPool) -> Runs {
        Runs {
            starts: writer(pool.clone()),
            endings: writer(pool),
        }
    }

    /// The start gate: whether this run may begin.
    pub async fn start(&self, lease: &Lease) -> bool {
        ask(&self.starts, lease, Start).await
    }

    /// Write how the run ended. False: the job was no longer this run's, nothing was written.
    pub async fn end(&self, lease: &Lease, ending: Ending) -> bool {
        ask(&self.endings, lease, ending).await
    }
}

async fn ask<W>(to: &mpsc::Sender<Asked<W>>, lease: &Lease, what: W) -> bool {
    let (answer, answered) = oneshot::channel();
    let asked = Asked {
        lease: lease.clone(),
        what,
        answer,
    };
    // Without an answer the process is ending: the lease runs out and the job runs elsewhere.
    to.send(asked).await.is_ok() && answered.await.unwrap_or(false)
}

fn writer<W: Write>(pool: PgPool) -> mpsc::Sender<Asked<W>> {
    let (asking, requests) = mpsc::channel(BATCH_MAX);
    tokio::spawn(serve(Kept::new(pool), requests, asking.downgrade()));
    asking
}

/// Take what has come in, write it as one batch, answer everybody.
async fn serve<W: Write>(
    mut kept: Kept,
    mut requests: mpsc::Receiver<Asked<W>>,
    again: mpsc::WeakSender<Asked<W>>,
) {
    let mut batch = Vec::new();
    while requests.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let fates = until_written(&mut kept, &batch).await;
        for (asked, fate) in batch.drain(..).zip(fates) {
            match fate {
                Fate::InUse => {
                    ask_again(asked, again.clone());
                    continue;
                }
                Fate::Refused => asked.lease.refused(W::NAME),
                Fate::Written => {}
            }
            // Nobody waits any more: the run was aborted, and its job is written all the same.
            let _ = asked.answer.send(fate == Fate::Written);
        }
        if requests.is_empty() {
            kept.give_back();
        }
    }
}

async fn until_written<W: Write>(kept: &mut Kept, batch: &[Asked<W>]) -> Vec<Fate> {
    let mut pause = Duration::from_millis(20);
    loop {
        let written = async {
            let mut conn = kept.take().await?;
            let fates = W::write(&mut conn, batch).await?;
            kept.keep(conn);
            Ok::<_, sqlx::Error>(fates)
        };
        match written.await {
            Ok(fates) => return fates,
            Err(error) => {
                tracing::warn!(%error, write = W::NAME, runs = batch.len(), "cannot write to the queue; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

/// In a later batch: the others do not wait for this one.
fn ask_again<W: Write>(asked: Asked<W>, to: mpsc::WeakSender<Asked<W>>) {
    tokio::spawn(async move {
        tokio::time::sleep(AGAIN_AFTER).await;
        if let Some(to) = to.upgrade() {
            let _ = to.send(asked).await;
        }
    });
}

impl Write for Start {
    const NAME: &'static str = "start";

    /// Most runs began with their claim, and only whether it still stands is asked; what a suspect does
    /// next is charged to it, so its start is written.
    async fn write(conn: &mut PgConnection, batch: &[Asked<Start>]) -> sqlx::Result<Vec<Fate>> {
        let (ids, attempts, tokens) = fences(batch.iter().map(|asked| &asked.lease));
        let held: Vec<i64> = sqlx::query_scalar(
            "with asked as materialized (
                 select a.*, job.started_at
                 from unnest($1::uuid[], $2::integer[], $3::uuid[]) with ordinality as a (id, attempt, token, place)
                 cross join lateral (
                     select started_at from queue.jobs
                     where id = a.id and attempt = a.attempt and lease_token = a.token and lease_until > now()
                     offset 0
                 ) job
             ),
             begun as (
                 update queue.jobs job set started_at = now()
                 from asked
                 where job.id = asked.id and job.attempt = asked.attempt and job.lease_token = asked.token
                   and asked.started_at is null
                   and job.id = any(array(select id from asked where started_at is null))
                 returning asked.place
             )
             select place from asked where started_at is not null union all select place from begun",
        )
        .bind(ids)
        .bind(attempts)
        .bind(tokens)
        .fetch_all(conn)
        .await?;
        let held: HashSet<i64> = held.into_iter().collect();
        let fate = |place| match held.contains(&place) {
            true => Fate::Written,
            false => Fate::Refused,
        };
        Ok((1..=batch.len() as i64).map(fate).collect())
    }
}

impl Write for Ending {
    const NAME: &'static str = "end";

    async fn write(conn: &mut PgConnection, batch: &[Asked<Ending>]) -> sqlx::Result<Vec<Fate>> {
        let (ids, attempts, tokens) = fences(batch.iter().map(|asked| &asked.lease));
        let endings = || batch.iter().map(|asked| &asked.what);
        let rows = sqlx::query(include_str!("finish.sql"))
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
            .fetch_all(conn)
            .await?;
        let mut fates = vec![Fate::Refused; batch.len()];
        for row in rows {
            let place: i64 = row.try_get("place")?;
            fates[place as usize - 1] = match row.try_get("is_written")? {
                true => Fate::Written,
                false => Fate::InUse,
            };
        }
        Ok(fates)
    }
}

/// What every write of a run names: job, attempt, token.
pub(super) fn fences<'a>(
    leases: impl Iterator<Item = &'a Lease>,
) -> (Vec<Uuid>, Vec<i32>, Vec<Uuid>) {
    let mut fences = (Vec::new(), Vec::new(), Vec::new());
    for lease in leases {
        fences.0.push(lease.job_id);
        fences.1.push(lease.attempt);
        fences.2.push(lease.token);
    }
    fences
}
