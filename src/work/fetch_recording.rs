//! Find out whether a recording is there; see the promise in `jobs/fetch_recording.rs`.

use tollkeeper_jobs::{
    FetchRecording, TranscribeRecording,
    fetch_recording::{Look, Plan, decide},
    telephony::recordings::{self, Recording, Report, Status},
};

use super::{Work, recordings::fail};
use crate::{
    clients::ClientError,
    context::Context,
    db::{self, accounts, recordings::StoredRecording},
    queue::{self, Failure, Lease, Outcome},
};

impl Work for FetchRecording {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut conn = ctx.pools.work.acquire().await?;
        let known = db::recordings::load(&mut conn, &self.account_id, &self.recording_ref).await?;
        drop(conn);
        let Some(known) = known.filter(StoredRecording::is_open) else {
            return Ok(Outcome::Skipped("there is nothing to transcribe".into()));
        };
        let said = ctx
            .twilio
            .recording(&known.held_by_ref, &known.recording_ref)
            .await?;
        let look = match look(ctx, &known, said.as_ref()).await {
            // Its audio, and nothing but that, is refused: to us, or here.
            Err(ClientError::Refused { status, .. }) => {
                let why = format!("the provider does not give its audio out (status {status})");
                return fail(ctx, lease, &known, &why).await;
            }
            look => look?,
        };
        let now = ctx.clock.now();
        match decide(look, known.told_at, now, ctx.config.recordings.bytes_max) {
            Plan::LookAgain(at) => Ok(Outcome::Later(at, "its audio is not there yet".into())),
            Plan::Fail(why) => fail(ctx, lease, &known, why).await,
            Plan::Transcribe => transcribe(ctx, lease, &known, said).await,
        }
    }
}

async fn look(
    ctx: &Context,
    known: &StoredRecording,
    said: Option<&Report>,
) -> Result<Look, ClientError> {
    let Some(said) = said else {
        // Of what it said was not recorded it may keep nothing.
        let told = Status::of(&known.status);
        let is_over = |status: &Status| matches!(status, Status::Absent | Status::Deleted);
        return Ok(told.filter(is_over).map_or(Look::Unknown, Look::Known));
    };
    let status = said.status.unwrap_or(Status::InProgress);
    if status != Status::Completed {
        return Ok(Look::Known(status));
    }
    let media = ctx
        .twilio
        .recording_media(&known.held_by_ref, &known.recording_ref)
        .await?;
    // What follows is left unread: dropping it closes the connection.
    Ok(media.map_or(Look::Known(status), |media| Look::There {
        bytes: media.bytes(),
    }))
}

async fn transcribe(
    ctx: &Context,
    lease: &Lease,
    known: &StoredRecording,
    said: Option<Report>,
) -> Result<Outcome, Failure> {
    let (account_id, recording_ref) = (&known.account_id, &known.recording_ref);
    let now = ctx.clock.now();
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, account_id).await?;
    if let Some(said) = said {
        let known = db::recordings::lock(&mut tx, account_id, recording_ref).await?;
        let held_by_ref = known.as_ref().map_or("", |known| &known.held_by_ref);
        let learnt = recordings::learn(known.as_ref().map(Recording::from), &said, now);
        db::recordings::store(
            &mut tx,
            account_id,
            recording_ref,
            held_by_ref,
            &learnt,
            now,
        )
        .await?;
    }
    db::recordings::fetched(&mut tx, account_id, recording_ref, now).await?;
    // Without an endpoint it waits until `sweep_recordings` finds one.
    if ctx.speech.transcriber.is_some() {
        let job = TranscribeRecording {
            account_id: account_id.clone(),
            recording_ref: recording_ref.clone(),
        };
        queue::enqueue(&mut tx, &job).await?;
    }
    tx.commit().await?;
    ctx.wake.ring();
    Ok(Outcome::Done)
}
