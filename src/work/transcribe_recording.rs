//! Have a recording written down, and count it; see the promise in `jobs/transcribe_recording.rs`.

use secrecy::{ExposeSecret, SecretString};
use tollkeeper_jobs::{
    AnalyseTranscript, DeleteRecording, NewJob, TranscribeRecording,
    fetch_recording::{Look, Plan, decide},
    telephony::recordings::Status,
    transcribe_recording::joined,
};

use super::{
    Work,
    phone_log::Told,
    recordings::{REFUSES, Verdict, fail, refused},
    step_back,
};
use crate::{
    clients::{
        ClientError,
        audio::{Audio, NotSaved},
        speech::Transcriber,
    },
    context::Context,
    db::{
        accounts, findings, recordings, recordings::StoredRecording, speech_answers,
        webhooks::Provider,
    },
    journal::{
        self, Unfinished,
        speech::{TranscribePart, answer},
    },
    queue::{self, Failure, Lease, Outcome},
    sealed::Place,
};

const PURPOSE: &str = "transcription";

impl Work for TranscribeRecording {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(transcriber) = &ctx.speech.transcriber else {
            let why = "no speech endpoint is set: it stays pending";
            return Ok(Outcome::Skipped(why.into()));
        };
        let Some(_place) = ctx.speech.admit() else {
            return Err(Failure::Wait {
                after: Some(step_back(lease)),
                why: "as many recordings as may be are being transcribed".into(),
            });
        };
        let (account_id, recording_ref) = (&self.account_id, &self.recording_ref);
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let now = ctx.clock.now();
        let begun =
            recordings::begin_transcription(&mut tx, account_id, recording_ref, now).await?;
        let Some(recording) = begun else {
            return Ok(Outcome::Skipped("there is nothing to transcribe".into()));
        };
        tx.commit().await?;
        let audio = match save(ctx, &recording).await {
            Ok(audio) => audio,
            Err(Unsaved::Waits(outcome)) => return Ok(outcome),
            Err(Unsaved::Fails(why)) => return fail(ctx, lease, &recording, &why).await,
            Err(Unsaved::Failed(failure)) => return Err(failure),
        };
        let texts = match write_down(ctx, lease, &recording, transcriber, &audio).await {
            Ok(texts) => texts,
            Err(Unfinished::Refused(refusal)) => {
                return match refused(ctx, lease, PURPOSE, &refusal).await? {
                    Verdict::Wait(outcome) => Ok(outcome),
                    Verdict::Fail(why) => fail(ctx, lease, &recording, &why).await,
                };
            }
            Err(other) => return other.into_verdict("speech"),
        };
        store(ctx, lease, &recording, joined(&texts)).await
    }
}

/// Why the audio is not at hand.
enum Unsaved {
    /// It is not there yet.
    Waits(Outcome),
    /// It will never be.
    Fails(String),
    Failed(Failure),
}

impl From<NotSaved> for Unsaved {
    fn from(error: NotSaved) -> Unsaved {
        match error {
            NotSaved::Lost(error) => error.into(),
            NotSaved::TooLarge(_) | NotSaved::Uncuttable(_) => Unsaved::Fails(error.to_string()),
            NotSaved::File(_) => Unsaved::Failed(Failure::Retry(error.to_string())),
        }
    }
}

impl From<ClientError> for Unsaved {
    fn from(error: ClientError) -> Unsaved {
        match error {
            ClientError::Refused { status, .. } => Unsaved::Fails(format!(
                "the provider does not give its audio out (status {status})"
            )),
            other => Unsaved::Failed(other.into()),
        }
    }
}

/// Read it from the provider into a file of this run's own: the run before may have been on another machine.
async fn save(ctx: &Context, recording: &StoredRecording) -> Result<Audio, Unsaved> {
    let settings = &ctx.config.recordings;
    let media = ctx
        .twilio
        .recording_media(&recording.held_by_ref, &recording.recording_ref)
        .await?;
    if let Some(media) = media {
        let (bytes_max, part_bytes_max) = (settings.bytes_max, settings.part_bytes_max);
        return Ok(media.save(bytes_max, part_bytes_max).await?);
    }
    let gone = Look::Known(Status::Completed);
    let now = ctx.clock.now();
    Err(
        match decide(gone, recording.told_at, now, settings.bytes_max) {
            Plan::LookAgain(at) => {
                Unsaved::Waits(Outcome::Later(at, "its audio is not there yet".into()))
            }
            Plan::Fail(why) => Unsaved::Fails(why.to_owned()),
            Plan::Transcribe => Unsaved::Failed(Failure::Retry("its audio is not there".into())),
        },
    )
}

/// Each part once; what an earlier run was answered is taken from there.
async fn write_down(
    ctx: &Context,
    lease: &Lease,
    recording: &StoredRecording,
    transcriber: &Transcriber,
    audio: &Audio,
) -> Result<Vec<String>, Unfinished> {
    let mut texts = Vec::new();
    for part in audio.parts() {
        let effect = TranscribePart {
            account_id: &recording.account_id,
            recording_ref: &recording.recording_ref,
            transcription_id: recording.transcription_id,
            transcriber,
            audio,
            part,
        };
        journal::once(ctx, lease, &effect).await?;
        match answer(ctx, &effect).await? {
            Some(text) => texts.push(text.expose_secret().to_owned()),
            None => return Err(Unfinished::NotWanted("its transcript is there, or deleted")),
        }
    }
    Ok(texts)
}

/// The transcript, its count, the end of the kept answers, and what comes next: all of it or nothing.
async fn store(
    ctx: &Context,
    lease: &Lease,
    recording: &StoredRecording,
    text: String,
) -> Result<Outcome, Failure> {
    let StoredRecording {
        account_id,
        recording_ref,
        ..
    } = recording;
    let owned = || (account_id.clone(), recording_ref.clone());
    let is_silent = text.is_empty();
    let place = Place::of_recording("transcript_sealed", account_id, recording_ref);
    let sealed = ctx.keyring.seal(&SecretString::from(text), place);
    let now = ctx.clock.now();
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, account_id).await?;
    if !recordings::transcribed(&mut tx, account_id, recording_ref, &sealed, now).await? {
        let why = "its transcript is there, or deleted";
        return Ok(Outcome::Skipped(why.into()));
    }
    // Counted when it was done: a recording that waited for an endpoint for months is not of a month that is billed.
    let told = Told {
        ctx,
        account_id,
        provider: Provider::Twilio,
        told_at: now,
    };
    told.of_transcription(&mut tx, recording_ref).await?;
    let kept = recording.transcription_id.to_string();
    speech_answers::forget(&mut tx, account_id, &kept).await?;
    findings::close(&mut tx, REFUSES, PURPOSE, "it answers").await?;
    let mut jobs = Vec::new();
    if is_silent {
        let why = "nothing was said";
        recordings::analysis_failed(&mut tx, account_id, recording_ref, why, now).await?;
    } else if ctx.speech.analyst.is_some() {
        let (account_id, recording_ref) = owned();
        jobs.push(NewJob::of(&AnalyseTranscript {
            account_id,
            recording_ref,
        }));
    }
    if ctx.config.recordings.is_deleted {
        let (account_id, recording_ref) = owned();
        jobs.push(NewJob::of(&DeleteRecording {
            account_id,
            recording_ref,
        }));
    }
    queue::enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(Outcome::Done)
}
