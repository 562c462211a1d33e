//! `/api/transcriptions`: what was said in a user's recordings, as a list, one by one, and taken back.

use std::sync::Arc;

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use tollkeeper_jobs::DeleteRecording;
use uuid::Uuid;

use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, Refused},
    phone_log::{self, Asked},
    transcript_view::{CallAnalysis, Opened},
};
use crate::{
    db::recordings::{self, StoredRecording},
    http::{
        auth::{Caller, Scope},
        problem::{Problem, timestamp},
    },
    queue,
    sealed::Keyring,
};

pub struct Transcriptions(pub(super) Arc<Shared>);

const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum Status {
    Pending,
    Processing,
    Completed,
    Failed,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Processing => "processing",
            Status::Completed => "completed",
            Status::Failed => "failed",
        }
    }
}

#[derive(Debug, Object)]
struct TranscriptionPage {
    /// The newest first.
    transcriptions: Vec<Transcription>,
    pagination: Pagination,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Pagination {
    limit: u32,
    offset: u32,
    /// How many there are in all.
    total: i64,
    /// Sent back as `cursor`, it asks for the next ones, whatever came meanwhile. Absent: there are no more.
    #[oai(rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Transcription {
    id: String,
    user_id: String,
    filename: String,
    /// pending, processing, completed or failed.
    status: String,
    /// What was said; absent until it is completed, and empty if nothing was said.
    transcription: Option<String>,
    /// Why it failed.
    error: Option<String>,
    /// In seconds, of the recording.
    duration_seconds: Option<i32>,
    /// pending, completed or failed.
    analysis_status: String,
    analysis: Option<CallAnalysis>,
    /// Why there is no analysis.
    analysis_error: Option<String>,
    metadata: Metadata,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Metadata {
    /// twilio
    source: String,
    call_sid: Option<String>,
    recording_sid: String,
}

#[derive(Debug, Object)]
struct Deleted {
    id: String,
    user_id: String,
}

type Answer<T> = Result<Json<Envelope<T>>, Refused<EnvelopedProblem>>;

#[OpenApi(prefix_path = "/transcriptions", tag = "Tag::Telephony")]
impl Transcriptions {
    /// A user's transcriptions
    #[oai(path = "/", method = "get", operation_id = "transcriptions")]
    async fn list(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// 20 when left out, 100 at most.
        limit: Query<Option<u32>>,
        /// How many to leave out, from the newest on.
        offset: Query<Option<u32>>,
        /// `nextCursor` of the answer before, in place of an offset.
        cursor: Query<Option<String>>,
        /// Only those.
        status: Query<Option<Status>>,
    ) -> Answer<TranscriptionPage> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let offset = offset.unwrap_or(0);
        let page = Asked::read(None, Some(limit), cursor.as_deref())?;
        let transcript = status.map(Status::as_str);
        let mut tx = self.0.begin(&account).await?;
        let account = account.as_str();
        let mut rows =
            recordings::list(&mut tx, account, transcript, &page.rows(), offset.into()).await?;
        let total = recordings::count(&mut tx, account, transcript).await?;
        drop(tx);
        let next_cursor = page.next(&mut rows, |row| (row.began_at, &row.recording_ref));
        let shown = rows.into_iter().map(|row| shown(&self.0.keyring, row));
        let shown = TranscriptionPage {
            transcriptions: shown.collect::<Result<_, _>>()?,
            pagination: Pagination {
                limit,
                offset,
                total,
                next_cursor,
            },
        };
        let now = self.0.clock.now();
        Ok(Envelope::new(shown, "Transcriptions retrieved", now))
    }

    /// A transcription
    #[oai(
        path = "/:transcription_id",
        method = "get",
        operation_id = "transcription"
    )]
    async fn one(
        &self,
        caller: Caller,
        transcription_id: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<Transcription> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let id = id(&transcription_id)?;
        let mut tx = self.0.begin(&account).await?;
        let row = recordings::one(&mut tx, account.as_str(), id).await?;
        drop(tx);
        let row = row.ok_or_else(missing)?;
        let now = self.0.clock.now();
        Ok(Envelope::new(
            shown(&self.0.keyring, row)?,
            "Transcription retrieved",
            now,
        ))
    }

    /// Delete a transcription
    ///
    /// What was said and what it came to are gone at once, and the recording is deleted at the provider. It is never
    /// transcribed again; that it was transcribed stays counted.
    #[oai(
        path = "/:transcription_id",
        method = "delete",
        operation_id = "deleteTranscription"
    )]
    async fn delete(
        &self,
        caller: Caller,
        transcription_id: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<Deleted> {
        let account = caller.account(Scope::TelephonyWrite, user_id.as_deref(), || {
            Problem::bad_request("MISSING_PARAMETER", "userId is required")
        })?;
        let id = id(&transcription_id)?;
        let now = self.0.clock.now();
        let mut tx = self.0.begin(&account).await?;
        let row = recordings::forget(&mut tx, account.as_str(), id, now).await?;
        let row = row.ok_or_else(missing)?;
        let job = DeleteRecording {
            account_id: row.account_id.clone(),
            recording_ref: row.recording_ref,
        };
        queue::enqueue(&mut tx, &job).await?;
        tx.commit().await?;
        self.0.wake.ring();
        let deleted = Deleted {
            id: id.to_string(),
            user_id: row.account_id,
        };
        Ok(Envelope::new(deleted, "Transcription deleted", now))
    }
}

/// What is no id is nobody's id.
fn id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| missing())
}

fn missing() -> Problem {
    Problem::not_found("Transcription not found")
}

fn shown(keyring: &Keyring, row: StoredRecording) -> Result<Transcription, Problem> {
    let opened = Opened::of(keyring, &row)?;
    Ok(Transcription {
        id: row.transcription_id.to_string(),
        user_id: row.account_id,
        filename: format!("twilio_recording_{}.mp3", row.recording_ref),
        status: row.transcript,
        transcription: opened.transcript,
        error: row.transcript_error,
        duration_seconds: row.seconds,
        analysis_status: row.analysis,
        analysis: opened.analysis.map(CallAnalysis::of),
        analysis_error: row.analysis_error,
        metadata: Metadata {
            source: "twilio".to_owned(),
            call_sid: row.call_ref,
            recording_sid: row.recording_ref,
        },
        created_at: timestamp(row.began_at),
        updated_at: timestamp(row.updated_at),
    })
}
