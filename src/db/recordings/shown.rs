//! What an app is shown of recordings, in a transaction of its account's, and what it may take back.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{COLUMNS, StoredRecording};
use crate::db::phone_log::Page;

/// Those that were not deleted, the newest first; only those whose transcript is pending, processing, completed or
/// failed, if one of these is given. The first ones of the page may be left out.
pub async fn list(
    conn: &mut PgConnection,
    account_id: &str,
    transcript: Option<&str>,
    page: &Page<'_>,
    offset: i64,
) -> sqlx::Result<Vec<StoredRecording>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from recordings
         where account_id = $1 and transcript <> 'deleted' and ($2::text is null or transcript = $2)
           and ($3::timestamptz is null or (began_at, recording_ref) < ($3, $4))
         order by began_at desc, recording_ref desc limit $5 offset $6"
    )))
    .bind(account_id)
    .bind(transcript)
    .bind(page.behind.map(|(began_at, _)| began_at))
    .bind(page.behind.map(|(_, id)| id))
    .bind(page.limit)
    .bind(offset)
    .fetch_all(conn)
    .await
}

/// How many there are of those.
pub async fn count(
    conn: &mut PgConnection,
    account_id: &str,
    transcript: Option<&str>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from recordings
         where account_id = $1 and transcript <> 'deleted' and ($2::text is null or transcript = $2)",
    )
    .bind(account_id)
    .bind(transcript)
    .fetch_one(conn)
    .await
}

/// The recordings of a call, the first one first; those whose transcription was deleted too.
pub async fn of_call(
    conn: &mut PgConnection,
    account_id: &str,
    call_ref: &str,
) -> sqlx::Result<Vec<StoredRecording>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from recordings where account_id = $1 and call_ref = $2
         order by began_at, recording_ref limit 100"
    )))
    .bind(account_id)
    .bind(call_ref)
    .fetch_all(conn)
    .await
}

/// One that was not deleted, by the id that apps know.
pub async fn one(
    conn: &mut PgConnection,
    account_id: &str,
    transcription_id: Uuid,
) -> sqlx::Result<Option<StoredRecording>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from recordings
         where account_id = $1 and transcription_id = $2 and transcript <> 'deleted'"
    )))
    .bind(account_id)
    .bind(transcription_id)
    .fetch_optional(conn)
    .await
}

/// Take away what was said in it and what it came to. It is never transcribed again.
pub async fn forget(
    conn: &mut PgConnection,
    account_id: &str,
    transcription_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<StoredRecording>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update recordings
         set transcript = 'deleted', transcript_error = null, transcript_sealed = null, analysis_sealed = null,
             analysis_error = null, updated_at = $3
         where account_id = $1 and transcription_id = $2 and transcript <> 'deleted'
         returning {COLUMNS}"
    )))
    .bind(account_id)
    .bind(transcription_id)
    .bind(now)
    .fetch_optional(conn)
    .await
}
