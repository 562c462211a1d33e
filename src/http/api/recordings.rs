//! A call as it is known, its recordings, and what was said in them.

use std::sync::Arc;

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Shared, Tag,
    envelope::{BareProblem, Envelope, EnvelopedProblem, FlatProblem, Refused},
    phone_log,
    phone_log_view::PhoneCall,
    transcript_view::{Opened, Summary},
};
use crate::{
    db::{
        calls::{self, ShownCall},
        recordings::{self, StoredRecording},
    },
    http::{
        auth::{AccountId, Caller},
        problem::{Problem, timestamp},
    },
};

pub struct Recordings(pub(super) Arc<Shared>);

#[derive(Debug, Object)]
struct RecordingsOfCall {
    /// Always true.
    success: bool,
    /// The first one first.
    recordings: Vec<Recording>,
}

#[derive(Debug, Object)]
struct Recording {
    /// `RE…`
    recording_sid: String,
    call_sid: Option<String>,
    /// At the provider, who gives it out to the account's own token; null once it is deleted there.
    recording_url: Option<String>,
    /// In seconds; null until it is over.
    duration: Option<i32>,
    /// Of its transcription: pending, processing, completed, failed or deleted.
    status: String,
    /// Null once it is deleted.
    transcription_id: Option<String>,
    created_at: String,
}

/// A call, and what is known from its recording.
#[derive(Debug, Object)]
struct CallInFull {
    #[oai(flatten)]
    call: PhoneCall,
    /// Of the user's own number.
    phone_number_id: Option<String>,
    /// What the provider takes; null until it says so.
    price: Option<f64>,
    /// ISO 4217.
    price_unit: String,
    answered_at: Option<String>,
    /// What was said.
    transcription: Option<String>,
    /// What it comes to, in a few sentences.
    ai_summary: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct CallTranscription {
    id: String,
    call_sid: String,
    /// pending, processing, completed or failed.
    status: String,
    /// What was said; absent until it is completed.
    text: Option<String>,
    start_time: String,
    end_time: Option<String>,
    /// In seconds.
    duration: Option<i32>,
    /// Always false: a call is transcribed from its recording.
    is_live: bool,
}

#[OpenApi(tag = "Tag::Telephony")]
impl Recordings {
    /// The recordings of a call
    #[oai(
        path = "/twilio/recordings/:call_sid",
        method = "get",
        operation_id = "recordings"
    )]
    async fn recordings(
        &self,
        caller: Caller,
        /// `CA…`
        call_sid: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<RecordingsOfCall>, Refused<FlatProblem>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        Ok(Json(RecordingsOfCall {
            success: true,
            recordings: self.of_call(&account, &call_sid).await?,
        }))
    }

    /// The recordings of a call, for clients of the phone system
    #[oai(
        path = "/phone/calls/:call_sid/recording",
        method = "get",
        operation_id = "callRecordings"
    )]
    async fn call_recordings(
        &self,
        caller: Caller,
        /// `CA…`, or the call's `id`.
        call_sid: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<Envelope<Vec<Recording>>>, Refused<EnvelopedProblem>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let call_sid = self.sid(&account, call_sid.0).await?;
        let recordings = self.of_call(&account, &call_sid).await?;
        let now = self.0.clock.now();
        Ok(Envelope::new(recordings, "Recordings retrieved", now))
    }

    /// A call
    #[oai(
        path = "/phone/calls/:call_sid",
        method = "get",
        operation_id = "phoneCall"
    )]
    async fn call(
        &self,
        caller: Caller,
        /// `CA…`, or the call's `id`.
        call_sid: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<Envelope<CallInFull>>, Refused<EnvelopedProblem>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let call_sid = self.sid(&account, call_sid.0).await?;
        let mut tx = self.0.begin(&account).await?;
        let call = known(&mut tx, &account, &call_sid).await?;
        let recording = match &call.recording_sid {
            Some(sid) => recordings::load(&mut tx, account.as_str(), sid).await?,
            None => None,
        };
        drop(tx);
        let call = self.in_full(call, recording)?;
        let now = self.0.clock.now();
        Ok(Envelope::new(call, "Call retrieved", now))
    }

    /// What was said in a call
    #[oai(
        path = "/calls/:call_sid/transcription",
        method = "get",
        operation_id = "callTranscription"
    )]
    async fn transcription(
        &self,
        caller: Caller,
        /// `CA…`
        call_sid: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<Envelope<CallTranscription>>, Refused<EnvelopedProblem>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let recording = self.recording(&account, &call_sid).await?;
        let missing = || Problem::not_found("No transcription found for this call");
        let recording = recording.ok_or_else(missing)?;
        let opened = Opened::of(&self.0.keyring, &recording)?;
        let now = self.0.clock.now();
        let transcription = CallTranscription {
            id: recording.transcription_id.to_string(),
            call_sid: call_sid.0,
            status: recording.transcript,
            text: opened.transcript,
            start_time: timestamp(recording.began_at),
            end_time: recording.transcribed_at.map(timestamp),
            duration: recording.seconds,
            is_live: false,
        };
        Ok(Envelope::new(transcription, "Transcription retrieved", now))
    }

    /// What a call comes to
    #[oai(
        path = "/calls/:call_sid/summary",
        method = "get",
        operation_id = "callSummary"
    )]
    async fn summary(
        &self,
        caller: Caller,
        /// `CA…`
        call_sid: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<Summary>, Refused<BareProblem>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let recording = self.recording(&account, &call_sid).await?;
        let opened = recording.map(|recording| Opened::of(&self.0.keyring, &recording));
        let analysis = opened.transpose()?.and_then(|opened| opened.analysis);
        let missing = || Problem::not_found("Summary not found");
        Ok(Json(Summary::of(analysis.ok_or_else(missing)?)))
    }
}

impl Recordings {
    /// The SID of a call that is named by either.
    async fn sid(&self, account: &AccountId, sid_or_id: String) -> Result<String, Problem> {
        let Ok(id) = Uuid::try_parse(&sid_or_id) else {
            return Ok(sid_or_id);
        };
        let mut tx = self.0.begin(account).await?;
        let found = calls::ref_of_id(&mut tx, account.as_str(), id).await?;
        found.ok_or_else(unknown)
    }

    async fn of_call(
        &self,
        account: &AccountId,
        call_sid: &str,
    ) -> Result<Vec<Recording>, Problem> {
        let mut tx = self.0.begin(account).await?;
        let rows = recordings::of_call(&mut tx, account.as_str(), call_sid).await?;
        // A recording may be told of before its call.
        if rows.is_empty() {
            known(&mut tx, account, call_sid).await?;
        }
        drop(tx);
        Ok(rows.into_iter().map(|row| self.shown(row)).collect())
    }

    async fn recording(
        &self,
        account: &AccountId,
        call_sid: &str,
    ) -> Result<Option<StoredRecording>, Problem> {
        let mut tx = self.0.begin(account).await?;
        let rows = recordings::of_call(&mut tx, account.as_str(), call_sid).await?;
        Ok(the_one(rows))
    }

    fn shown(&self, row: StoredRecording) -> Recording {
        let is_deleted = row.transcript == "deleted";
        Recording {
            recording_url: self.url(&row),
            recording_sid: row.recording_ref,
            call_sid: row.call_ref,
            duration: row.seconds,
            status: row.transcript,
            transcription_id: (!is_deleted).then(|| row.transcription_id.to_string()),
            created_at: timestamp(row.began_at),
        }
    }

    fn in_full(
        &self,
        call: ShownCall,
        recording: Option<StoredRecording>,
    ) -> Result<CallInFull, Problem> {
        let opened = recording
            .as_ref()
            .map(|recording| Opened::of(&self.0.keyring, recording));
        let opened = opened.transpose()?.unwrap_or_default();
        Ok(CallInFull {
            phone_number_id: call.phone_number_id.map(|id| id.to_string()),
            price: call.price,
            price_unit: call.price_unit.clone(),
            answered_at: call.answered_at.map(timestamp),
            call: PhoneCall::of(call, &self.0.twilio),
            transcription: opened.transcript,
            ai_summary: opened.analysis.map(|analysis| analysis.summary),
        })
    }

    /// By ids; what a callback called its address is nowhere.
    fn url(&self, row: &StoredRecording) -> Option<String> {
        let (account, recording) = (&row.held_by_ref, &row.recording_ref);
        let is_there = row.removed_at.is_none();
        is_there.then(|| self.0.twilio.recording_url(account, recording))
    }
}

async fn known(
    tx: &mut PgConnection,
    account: &AccountId,
    call_sid: &str,
) -> Result<ShownCall, Problem> {
    let call = calls::load(tx, account.as_str(), call_sid).await?;
    call.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("Call not found")
}

/// Of several recordings of a call the last one that is transcribed, or else the last one. None: all were deleted.
fn the_one(mut rows: Vec<StoredRecording>) -> Option<StoredRecording> {
    rows.retain(|row| row.transcript != "deleted");
    let done = rows.iter().rposition(|row| row.transcript == "completed");
    match done {
        Some(at) => Some(rows.swap_remove(at)),
        None => rows.pop(),
    }
}
