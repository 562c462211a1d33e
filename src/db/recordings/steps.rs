//! The steps that a recording goes through. Each says whether it was this caller who took it.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, query::Query};

use super::StoredRecording;

/// Its audio was seen at the provider.
pub async fn fetched(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let sql = "update recordings set fetched_at = coalesce(fetched_at, $3), updated_at = $3
               where account_id = $1 and recording_ref = $2 and transcript in ('pending', 'processing')";
    is_done(of(sql, account_id, recording_ref).bind(now), conn).await
}

/// Somebody has begun to transcribe it.
pub async fn begin_transcription(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<StoredRecording>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update recordings set transcript = 'processing', updated_at = $3
         where account_id = $1 and recording_ref = $2 and transcript in ('pending', 'processing')
         returning {}",
        super::COLUMNS
    )))
    .bind(account_id)
    .bind(recording_ref)
    .bind(now)
    .fetch_optional(conn)
    .await
}

/// What was said in it is known.
pub async fn transcribed(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    sealed: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let sql = "update recordings set transcript = 'completed', transcript_sealed = $3, transcribed_at = $4, updated_at = $4
               where account_id = $1 and recording_ref = $2 and transcript in ('pending', 'processing')";
    is_done(
        of(sql, account_id, recording_ref).bind(sealed).bind(now),
        conn,
    )
    .await
}

/// There will be no transcript of it.
pub async fn failed(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    why: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let sql = "update recordings set transcript = 'failed', transcript_error = $3, updated_at = $4
               where account_id = $1 and recording_ref = $2 and transcript in ('pending', 'processing')";
    is_done(of(sql, account_id, recording_ref).bind(why).bind(now), conn).await
}

/// What it comes to is known.
pub async fn analysed(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    sealed: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let sql = "update recordings set analysis = 'completed', analysis_sealed = $3, updated_at = $4
               where account_id = $1 and recording_ref = $2 and transcript = 'completed' and analysis = 'pending'";
    is_done(
        of(sql, account_id, recording_ref).bind(sealed).bind(now),
        conn,
    )
    .await
}

/// There will be no analysis of it.
pub async fn analysis_failed(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    why: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let sql = "update recordings set analysis = 'failed', analysis_error = $3, updated_at = $4
               where account_id = $1 and recording_ref = $2 and transcript = 'completed' and analysis = 'pending'";
    is_done(of(sql, account_id, recording_ref).bind(why).bind(now), conn).await
}

/// It is gone at the provider.
pub async fn removed(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let sql = "update recordings set removed_at = $3, status = 'deleted', updated_at = $3
               where account_id = $1 and recording_ref = $2 and removed_at is null";
    is_done(of(sql, account_id, recording_ref).bind(now), conn).await
}

/// What may be left to do about a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is not known yet whether it is there.
    Fetch,
    Transcribe,
    Analyse,
    /// Transcribed, and still at the provider.
    Delete,
    /// Its transcription was deleted, and it is still at the provider.
    Forget,
}

/// The recordings, with their accounts, that wait for a step for which there is no job of this kind; the longest
/// forgotten first, none that changed after `before`.
pub async fn undone(
    conn: &mut PgConnection,
    step: Step,
    kind: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<(String, String)>> {
    let is_due = match step {
        Step::Fetch => "transcript in ('pending', 'processing') and fetched_at is null",
        Step::Transcribe => "transcript in ('pending', 'processing') and fetched_at is not null",
        Step::Analyse => "transcript = 'completed' and analysis = 'pending'",
        Step::Delete => "transcript = 'completed' and removed_at is null",
        Step::Forget => "transcript = 'deleted' and removed_at is null",
    };
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select account_id, recording_ref from recordings
         where {is_due} and updated_at <= $2
           and not exists (select from queue.jobs job where job.kind = $1 and job.key = recordings.account_id || ':' || recording_ref)
         order by updated_at limit $3"
    )))
    .bind(kind)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}

fn of<'q>(
    sql: &'static str,
    account_id: &'q str,
    recording_ref: &'q str,
) -> Query<'q, Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(sql).bind(account_id).bind(recording_ref)
}

async fn is_done(
    query: Query<'_, Postgres, sqlx::postgres::PgArguments>,
    conn: &mut PgConnection,
) -> sqlx::Result<bool> {
    Ok(query.execute(conn).await?.rows_affected() == 1)
}
