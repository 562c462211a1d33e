//! What an operator does to jobs: each verb is one transaction with a row in `operator_actions`.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::look::Filter;

/// Who acts, and why. Both are kept; the why is empty where nobody said it.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub who: &'a str,
    pub why: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error("there is no job {0}")]
    NotFound(Uuid),
    #[error("job {id} is {state}: {advice}")]
    WrongState {
        id: Uuid,
        state: String,
        advice: &'static str,
    },
    #[error("job {0} cannot run again: a newer job of the same kind and key is under way")]
    NewerUnderWay(Uuid),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A kind or a lane, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Kind,
    Lane,
}

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Scope::Kind => "kind",
            Scope::Lane => "lane",
        }
    }
}

/// Run a dead job again, or a waiting one now, with all its attempts before it.
pub async fn retry(conn: &mut PgConnection, id: Uuid, by: By<'_>) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    let state = lock(&mut tx, id).await?;
    if !matches!(state.as_str(), "dead" | "waiting") {
        let advice = "only a dead or a waiting job can be retried";
        return Err(OperateError::WrongState { id, state, advice });
    }
    let run = sqlx::query(
        "update queue.jobs set state = 'ready', run_at = now(), not_before = null, failures = 0, crashes = 0 where id = $1",
    )
    .bind(id)
    .execute(&mut *tx)
    .await;
    match run {
        Ok(_) => {}
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            return Err(OperateError::NewerUnderWay(id));
        }
        Err(error) => return Err(error.into()),
    }
    record(&mut tx, "retry", by, Some(id), json!({ "was": state }), 1).await?;
    tx.commit().await?;
    Ok(())
}

/// Take a live job out. A run under way loses its lease: it begins no further effect and writes
/// nothing more. What it has done outside is in the journal.
pub async fn cancel(conn: &mut PgConnection, id: Uuid, by: By<'_>) -> Result<(), OperateError> {
    remove(
        conn,
        id,
        by,
        "cancel",
        &["ready", "waiting", "running"],
        "only a live job can be cancelled; discard a dead one",
    )
    .await
}

/// Put a dead job away for good.
pub async fn discard(conn: &mut PgConnection, id: Uuid, by: By<'_>) -> Result<(), OperateError> {
    remove(
        conn,
        id,
        by,
        "discard",
        &["dead"],
        "only a dead job can be discarded; cancel a live one",
    )
    .await
}

async fn remove(
    conn: &mut PgConnection,
    id: Uuid,
    by: By<'_>,
    action: &str,
    from: &[&str],
    advice: &'static str,
) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    let state = lock(&mut tx, id).await?;
    if !from.contains(&state.as_str()) {
        return Err(OperateError::WrongState { id, state, advice });
    }
    sqlx::query(
        "with gone as (delete from queue.jobs where id = $1 returning *),
         remembered as (
             insert into queue.job_attempts (job_id, attempt, account_id, worker, started_at, finished_at, outcome, error)
             select id, attempt, account_id, worker, coalesce(started_at, claimed_at), now(), 'cancelled', $2
             from gone where state = 'running'
         )
         insert into queue.finished_jobs
             (id, kind, key, account_id, lane, priority, state, run_at, attempts_max, failures, crashes, attempt,
              worker, started_at, version, payload, note, created_at, finished_at)
         select id, kind, key, account_id, lane, priority, 'cancelled', run_at, attempts_max, failures, crashes,
                attempt, worker, started_at, version, payload, $2, created_at, now()
         from gone",
    )
    .bind(id)
    .bind(by.why)
    .execute(&mut *tx)
    .await?;
    record(&mut tx, action, by, Some(id), json!({ "was": state }), 1).await?;
    tx.commit().await?;
    Ok(())
}

/// The jobs that a filter means to run: of a dead one whose key is under way again none, and of
/// several dead ones with one key the newest.
macro_rules! matching {
    ($rest:literal) => {
        concat!(
            "with matching as (
                 select distinct on (kind, key) id, state, kind, key from queue.jobs job
                 where state in ('dead', 'waiting')
                   and ($1::text is null or state = $1) and ($2::text is null or kind = $2)
                   and ($3::text is null or lane = $3) and ($4::text is null or account_id = $4)
                   and ($5::text is null or strpos(lower(note), lower($5)) > 0)
                   and (state = 'waiting'
                        or not exists (select from queue.jobs live
                                       where live.kind = job.kind and live.key = job.key and live.state <> 'dead'))
                 order by kind, key, id desc
             ) ",
            $rest
        )
    };
}

/// How many jobs [`retry_matching`] would run.
pub async fn count_matching(conn: &mut PgConnection, filter: &Filter) -> Result<i64, OperateError> {
    let jobs = sqlx::query_scalar(matching!("select count(*) from matching"))
        .bind(&filter.state)
        .bind(&filter.kind)
        .bind(&filter.lane)
        .bind(&filter.account_id)
        .bind(&filter.note)
        .fetch_one(conn)
        .await?;
    Ok(jobs)
}

/// Run every dead or waiting job that matches. A dead one whose key is under way again is left
/// alone, and of several dead ones with one key the newest runs. Answers how many run.
pub async fn retry_matching(
    conn: &mut PgConnection,
    filter: &Filter,
    by: By<'_>,
) -> Result<i64, OperateError> {
    let mut tries_left = RETRY_TRIES;
    loop {
        tries_left -= 1;
        match retry_matching_once(conn, filter, by).await {
            Err(OperateError::Database(error)) if tries_left > 0 && is_crossed(&error) => {}
            done => return done,
        }
    }
}

const RETRY_TRIES: usize = 10;

/// Whether somebody asked for one of the same jobs at this very moment: the next look sees it.
fn is_crossed(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("23505" | "40001" | "40P01"))
}

async fn retry_matching_once(
    conn: &mut PgConnection,
    filter: &Filter,
    by: By<'_>,
) -> Result<i64, OperateError> {
    let mut tx = conn.begin().await?;
    let retried = sqlx::query(matching!(
        "update queue.jobs job
         set state = 'ready', run_at = now(), not_before = null, failures = 0, crashes = 0
         from matching
         where job.id = matching.id and job.state = matching.state"
    ))
    .bind(&filter.state)
    .bind(&filter.kind)
    .bind(&filter.lane)
    .bind(&filter.account_id)
    .bind(&filter.note)
    .execute(&mut *tx)
    .await?
    .rows_affected() as i64;
    let target = json!({ "filter": filter });
    record(&mut tx, "retry_matching", by, None, target, retried).await?;
    tx.commit().await?;
    Ok(retried)
}

/// Claim nothing more of this kind or lane. What runs already runs to its end.
pub async fn pause(
    conn: &mut PgConnection,
    scope: Scope,
    name: &str,
    by: By<'_>,
) -> Result<(), OperateError> {
    control(conn, scope, name, by, "pause", "insert into queue.controls (scope, name, paused_at) values ($1, $2, now())
         on conflict (scope, name) do update set paused_at = coalesce(queue.controls.paused_at, now())").await
}

/// Undo [`pause`].
pub async fn resume(
    conn: &mut PgConnection,
    scope: Scope,
    name: &str,
    by: By<'_>,
) -> Result<(), OperateError> {
    control(
        conn,
        scope,
        name,
        by,
        "resume",
        "insert into queue.controls (scope, name) values ($1, $2)
         on conflict (scope, name) do update set paused_at = null",
    )
    .await
}

async fn control(
    conn: &mut PgConnection,
    scope: Scope,
    name: &str,
    by: By<'_>,
    action: &str,
    sql: &'static str,
) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    sqlx::query(sql)
        .bind(scope.as_str())
        .bind(name)
        .execute(&mut *tx)
        .await?;
    record(
        &mut tx,
        action,
        by,
        None,
        json!({ "scope": scope.as_str(), "name": name }),
        1,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Run at most so many jobs of a kind at once, over all workers; none lifts the cap.
pub async fn cap_kind(
    conn: &mut PgConnection,
    kind: &str,
    running_max: Option<i32>,
    by: By<'_>,
) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    sqlx::query(
        "insert into queue.controls (scope, name, running_max) values ('kind', $1, $2)
         on conflict (scope, name) do update set running_max = excluded.running_max",
    )
    .bind(kind)
    .bind(running_max)
    .execute(&mut *tx)
    .await?;
    record(
        &mut tx,
        "cap",
        by,
        None,
        json!({ "kind": kind, "running_max": running_max }),
        1,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// The job's state, its row locked.
async fn lock(tx: &mut PgConnection, id: Uuid) -> Result<String, OperateError> {
    let state = sqlx::query_scalar("select state from queue.jobs where id = $1 for update")
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(state) = state {
        return Ok(state);
    }
    let finished = sqlx::query_scalar("select state from queue.finished_jobs where id = $1")
        .bind(id)
        .fetch_optional(tx)
        .await?;
    match finished {
        Some(state) => Err(OperateError::WrongState {
            id,
            state,
            advice: "it has ended",
        }),
        None => Err(OperateError::NotFound(id)),
    }
}

/// Keep who did what to how many things, and why, in the transaction of the deed.
pub async fn record(
    tx: &mut PgConnection,
    action: &str,
    by: By<'_>,
    job_id: Option<Uuid>,
    target: Value,
    affected: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into queue.operator_actions (id, who, action, why, job_id, target, affected)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(Uuid::now_v7())
    .bind(by.who)
    .bind(action)
    .bind(by.why)
    .bind(job_id)
    .bind(target)
    .bind(affected)
    .execute(tx)
    .await?;
    Ok(())
}
