//! What an operator sees of the queue.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// Which jobs are meant; everything left out matches.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Filter {
    pub state: Option<String>,
    pub kind: Option<String>,
    pub lane: Option<String>,
    pub account_id: Option<String>,
    /// A part of the last note (why it was skipped, what failed last).
    pub note: Option<String>,
}

/// One job, live or finished.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct JobRow {
    pub id: Uuid,
    pub kind: String,
    pub key: String,
    pub account_id: String,
    pub lane: String,
    pub state: String,
    pub run_at: DateTime<Utc>,
    pub attempt: i32,
    pub failures: i32,
    pub attempts_max: i32,
    pub crashes: i32,
    pub worker: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub note: Option<String>,
    pub payload: Value,
}

/// One run of a job that ended.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct AttemptRow {
    pub attempt: i32,
    pub worker: Option<String>,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub outcome: String,
    pub error: Option<String>,
}

/// One run that ended, with whose it was.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct RunRow {
    pub job_id: Uuid,
    pub kind: String,
    pub key: String,
    pub account_id: String,
    pub attempt: i32,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub outcome: String,
    pub error: Option<String>,
}

/// What an operator did to a job.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct ActionRow {
    pub at: DateTime<Utc>,
    pub who: String,
    pub action: String,
    pub why: String,
    pub affected: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct JobStory {
    pub job: JobRow,
    pub attempts: Vec<AttemptRow>,
    pub actions: Vec<ActionRow>,
}

macro_rules! all_jobs {
    ($rest:literal) => {
        concat!(
            "select * from (
                 select id, kind, key, account_id, lane, state, run_at, attempt, failures, attempts_max, crashes,
                        worker, started_at, null::timestamptz as finished_at, created_at, note, payload
                 from queue.jobs
                 union all
                 select id, kind, key, account_id, lane, state, run_at, attempt, failures, attempts_max, crashes,
                        worker, started_at, finished_at, created_at, note, payload
                 from queue.finished_jobs
             ) job ",
            $rest
        )
    };
}

/// Every run that ended: of a job that is finished, the last one is told by the job itself.
macro_rules! all_runs {
    ($columns:literal, $rest:literal) => {
        concat!(
            $columns,
            " from (
                 select job_id, attempt, account_id, worker, started_at, finished_at, outcome, error
                 from queue.job_attempts
                 union all
                 select id, attempt, account_id, worker, started_at, finished_at, state, note
                 from queue.finished_jobs where state in ('done', 'skipped')
             ) run ",
            $rest
        )
    };
}

/// The newest matching jobs, at most `limit`, older than `before` (the id of the last one seen).
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<JobRow>> {
    sqlx::query_as(all_jobs!(
        "where ($1::text is null or state = $1) and ($2::text is null or kind = $2)
           and ($3::text is null or lane = $3) and ($4::text is null or account_id = $4)
           and ($5::text is null or strpos(lower(note), lower($5)) > 0)
           and ($6::uuid is null or id < $6)
         order by id desc limit $7"
    ))
    .bind(&filter.state)
    .bind(&filter.kind)
    .bind(&filter.lane)
    .bind(&filter.account_id)
    .bind(&filter.note)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The jobs of a kind whose keys begin so, the newest first.
pub async fn with_keys(
    conn: &mut PgConnection,
    kind: &str,
    begin: &str,
) -> sqlx::Result<Vec<JobRow>> {
    sqlx::query_as(all_jobs!(
        "where kind = $1 and starts_with(key, $2) order by id desc"
    ))
    .bind(kind)
    .bind(begin)
    .fetch_all(conn)
    .await
}

/// One job with every run of it and everything operators did to it. None: there is no such job.
pub async fn show(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<JobStory>> {
    let Some(job) = sqlx::query_as(all_jobs!("where id = $1"))
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(None);
    };
    let attempts = sqlx::query_as(all_runs!(
        "select attempt, worker, started_at, finished_at, outcome, error",
        "where job_id = $1 order by attempt, finished_at"
    ))
    .bind(id)
    .fetch_all(&mut *conn)
    .await?;
    let actions = sqlx::query_as(
        "select at, who, action, why, affected from queue.operator_actions where job_id = $1 order by at, id",
    )
    .bind(id)
    .fetch_all(&mut *conn)
    .await?;
    Ok(Some(JobStory {
        job,
        attempts,
        actions,
    }))
}

/// The runs that ended since then, by the database's clock, the oldest first.
pub async fn runs_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<RunRow>> {
    sqlx::query_as(all_runs!(
        "select run.job_id, job.kind, job.key, run.account_id, run.attempt, run.started_at,
                run.finished_at, run.outcome, run.error",
        "cross join lateral (
             select kind, key from queue.jobs where id = run.job_id
             union all
             select kind, key from queue.finished_jobs where id = run.job_id
             limit 1
         ) job
         where run.finished_at >= $1
         order by run.finished_at, run.started_at, run.job_id, run.attempt"
    ))
    .bind(since)
    .fetch_all(conn)
    .await
}

/// Live and dead jobs by lane and state, and how long the oldest of them has been due, in seconds.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct Depth {
    pub lane: String,
    pub state: String,
    pub jobs: i64,
    pub oldest_seconds: f64,
}

pub async fn depth(conn: &mut PgConnection) -> sqlx::Result<Vec<Depth>> {
    sqlx::query_as(
        "select lane, state, count(*) as jobs,
                greatest(extract(epoch from now() - min(run_at)), 0)::float8 as oldest_seconds
         from queue.jobs group by lane, state order by lane, state",
    )
    .fetch_all(conn)
    .await
}

/// When a job is next to be run by a clock that is `ahead` of the database's; now, while one is. None: there is none.
pub async fn next_due(
    conn: &mut PgConnection,
    ahead: TimeDelta,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar(
        // Each by an index of its own: the table may be large.
        "select case when exists (select from queue.jobs where state = 'ready' and crashes = 0)
                       or exists (select from queue.jobs where state = 'ready' and crashes > 0)
                       or exists (select from queue.jobs where state = 'running')
                     then now() + $1 * interval '1 microsecond'
                     else (select min(run_at) from queue.jobs where state = 'waiting') end",
    )
    .bind(ahead.num_microseconds().unwrap_or(i64::MAX) as f64)
    .fetch_one(conn)
    .await
}

/// What is paused or capped: scope, name, since when, at most so many at once.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct Control {
    pub scope: String,
    pub name: String,
    pub paused_at: Option<DateTime<Utc>>,
    pub running_max: Option<i32>,
}

pub async fn controls(conn: &mut PgConnection) -> sqlx::Result<Vec<Control>> {
    sqlx::query_as(
        "select scope, name, paused_at, running_max from queue.controls order by scope, name",
    )
    .fetch_all(conn)
    .await
}
