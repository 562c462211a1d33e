//! Recordings: what the provider told of them, and how far their transcription and analysis are.

mod shown;
mod steps;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::telephony::recordings::{Recording, Status};
use uuid::Uuid;

pub use shown::{count, forget, list, of_call, one};
pub use steps::{
    Step, analysed, analysis_failed, begin_transcription, failed, fetched, removed, transcribed,
    undone,
};

/// A recording as it is stored.
#[derive(Debug, Clone, FromRow)]
pub struct StoredRecording {
    pub account_id: String,
    pub recording_ref: String,
    pub transcription_id: Uuid,
    pub call_ref: Option<String>,
    /// The provider's account that it lies in.
    pub held_by_ref: String,
    pub status: String,
    pub seconds: Option<i32>,
    pub began_at: DateTime<Utc>,
    /// When we first heard of it.
    pub told_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub removed_at: Option<DateTime<Utc>>,
    /// pending, processing, completed, failed or deleted.
    pub transcript: String,
    pub transcript_error: Option<String>,
    pub transcript_sealed: Option<String>,
    pub transcribed_at: Option<DateTime<Utc>>,
    /// pending, completed or failed.
    pub analysis: String,
    pub analysis_error: Option<String>,
    pub analysis_sealed: Option<String>,
}

impl StoredRecording {
    /// Whether it is still to be transcribed.
    pub fn is_open(&self) -> bool {
        matches!(&*self.transcript, "pending" | "processing")
    }

    /// Whether its transcript is there and its analysis is not.
    pub fn is_to_be_analysed(&self) -> bool {
        self.transcript == "completed" && self.analysis == "pending"
    }
}

impl From<&StoredRecording> for Recording {
    fn from(row: &StoredRecording) -> Recording {
        Recording {
            call_ref: row.call_ref.clone(),
            status: Status::of(&row.status).unwrap_or(Status::InProgress),
            seconds: row.seconds.and_then(|seconds| seconds.try_into().ok()),
            began_at: row.began_at,
        }
    }
}

const COLUMNS: &str = "account_id, recording_ref, transcription_id, call_ref, held_by_ref, status, seconds, began_at,
     told_at, updated_at, removed_at, transcript, transcript_error, transcript_sealed, transcribed_at, analysis,
     analysis_error,
     analysis_sealed";

/// One recording of an account.
pub async fn load(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
) -> sqlx::Result<Option<StoredRecording>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from recordings where account_id = $1 and recording_ref = $2"
    )))
    .bind(account_id)
    .bind(recording_ref)
    .fetch_optional(conn)
    .await
}

/// The same, locked until the transaction ends. Nobody stores a first row of it beside this one: the caller has locked
/// the account.
pub async fn lock(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
) -> sqlx::Result<Option<StoredRecording>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from recordings where account_id = $1 and recording_ref = $2 for update"
    )))
    .bind(account_id)
    .bind(recording_ref)
    .fetch_optional(conn)
    .await
}

/// Store what is known of a recording by now. `held_by_ref` is the provider's account that it lies in.
pub async fn store(
    conn: &mut PgConnection,
    account_id: &str,
    recording_ref: &str,
    held_by_ref: &str,
    recording: &Recording,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into recordings (account_id, recording_ref, transcription_id, call_ref, held_by_ref, status, seconds,
                                 began_at, told_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         on conflict (account_id, recording_ref) do update
         set call_ref = excluded.call_ref, status = excluded.status, seconds = excluded.seconds,
             began_at = excluded.began_at, updated_at = excluded.updated_at",
    )
    .bind(account_id)
    .bind(recording_ref)
    .bind(Uuid::now_v7())
    .bind(&recording.call_ref)
    .bind(held_by_ref)
    .bind(recording.status.as_str())
    .bind(recording.seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)))
    .bind(recording.began_at)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
