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
    match jobs {
        [] => return Ok(Vec::new()),
        [job] => return Ok(vec![enqueue_one(tx, job).await?]),
        _ => {}
    }
    let rows = sqlx::query(concat!(
        include_str!("enqueue.sql"),
        include_str!("already_there.sql"),
        "returning job.id, job.kind, job.key
         )
         select stored.id, stored.id = any($1::uuid[]) as is_new
         from unnest($2::text[], $3::text[]) with ordinality as a (kind, key, position)
         join stored on stored.kind = a.kind and stored.key = a.key
         order by a.position"
    ))
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

/// The same for one job, without the sorting and matching of many.
async fn enqueue_one(tx: &mut PgConnection, job: &NewJob) -> sqlx::Result<Enqueued> {
    let id = Uuid::now_v7();
    let stored: Uuid = sqlx::query_scalar(concat!(
        "insert into queue.jobs as job
             (id, kind, key, account_id, lane, priority, attempts_max, version, payload, run_at, state)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now()),
                 case when $10 > now() then 'waiting' else 'ready' end) ",
        include_str!("already_there.sql"),
        "returning job.id"
    ))
    .bind(id)
    .bind(job.kind)
    .bind(&job.key)
    .bind(job.account_id.as_deref().unwrap_or_default())
    .bind(job.lane.as_str())
    .bind(job.priority)
    .bind(job.attempts_max)
    .bind(job.version)
    .bind(&job.payload)
    .bind(job.run_at)
    .fetch_one(tx)
    .await?;
    Ok(match stored == id {
        true => Enqueued::New(id),
        false => Enqueued::AlreadyThere(stored),
    })
}
