//! Storing jobs, always inside the transaction of the change that asks for them.

use sqlx::{PgConnection, Row};
use tollkeeper_jobs::{Job, NewJob};
use uuid::Uuid;

/// What became of a request for a job. Neither is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    New(Uuid),
    /// A live job of that kind and key was there already. One that was running runs once more
    /// afterwards, so that what this caller just changed is seen.
    AlreadyThere(Uuid),
}

impl Enqueued {
    pub fn id(self) -> Uuid {
        match self {
            Enqueued::New(id) | Enqueued::AlreadyThere(id) => id,
        }
    }
}

/// Store one job.
pub async fn enqueue<J: Job>(tx: &mut PgConnection, job: &J) -> sqlx::Result<Enqueued> {
    let mut all = enqueue_all(tx, &[NewJob::of(job)]).await?;
    Ok(all.pop().expect("one job in, one answer out"))
}

/// Store many jobs in one statement; the answers come in the order of the jobs.
///
/// Rows are written in the order of (kind, key), so that two callers never lock each other out.
pub async fn enqueue_all(tx: &mut PgConnection, jobs: &[NewJob]) -> sqlx::Result<Vec<Enqueued>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(include_str!("enqueue.sql"))
        .bind(jobs.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.kind).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.key.as_str()).collect::<Vec<_>>())
        .bind(
            jobs.iter()
                .map(|job| job.account_id.as_deref().unwrap_or_default())
                .collect::<Vec<_>>(),
        )
        .bind(jobs.iter().map(|job| job.lane.as_str()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.priority).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.attempts_max).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.version).collect::<Vec<_>>())
        .bind(
            jobs.iter()
                .map(|job| job.payload.clone())
                .collect::<Vec<_>>(),
        )
        .bind(jobs.iter().map(|job| job.run_at).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    rows.iter()
        .map(|row| {
            let id = row.try_get("id")?;
            Ok(if row.try_get("is_new")? {
                Enqueued::New(id)
            } else {
                Enqueued::AlreadyThere(id)
            })
        })
        .collect()
}
