//! Have a transcript analysed; see the promise in `jobs/analyse_transcript.rs`.

use secrecy::{ExposeSecret, SecretString};
use tollkeeper_jobs::{
    AnalyseTranscript,
    telephony::analysis::{Analysis, Message, question, read, repair},
};

use super::{
    Work,
    recordings::{REFUSES, Verdict, refused},
    step_back,
};
use crate::{
    clients::speech::Analyst,
    context::Context,
    db::{findings, recordings, recordings::StoredRecording, speech_answers},
    journal::{
        self, Unfinished,
        speech::{AskAnalyst, answer},
    },
    queue::{Failure, Lease, Outcome},
    sealed::Place,
};

const PURPOSE: &str = "analysis";

impl Work for AnalyseTranscript {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(analyst) = &ctx.speech.analyst else {
            let why = "no language model is set: it stays pending";
            return Ok(Outcome::Skipped(why.into()));
        };
        let Some(_place) = ctx.speech.admit() else {
            return Err(Failure::Wait {
                after: Some(step_back(lease)),
                why: "as many transcripts as may be are being analysed".into(),
            });
        };
        let mut conn = ctx.pools.work.acquire().await?;
        let recording = recordings::load(&mut conn, &self.account_id, &self.recording_ref).await?;
        drop(conn);
        let Some(recording) = recording.filter(StoredRecording::is_to_be_analysed) else {
            return Ok(Outcome::Skipped("there is nothing to analyse".into()));
        };
        let place = Place::of_recording("transcript_sealed", &self.account_id, &self.recording_ref);
        let sealed = recording.transcript_sealed.as_deref().unwrap_or_default();
        let transcript = ctx.keyring.open(sealed, place);
        let transcript =
            transcript.map_err(|error| Failure::Retry(format!("a transcript: {error}")))?;
        match analyse(ctx, lease, &recording, analyst, transcript.expose_secret()).await {
            Ok(Ok(analysis)) => store(ctx, lease, &recording, &analysis).await,
            Ok(Err(why)) => fail(ctx, lease, &recording, &why).await,
            Err(Unfinished::Refused(refusal)) => {
                match refused(ctx, lease, PURPOSE, &refusal).await? {
                    Verdict::Wait(outcome) => Ok(outcome),
                    Verdict::Fail(why) => fail(ctx, lease, &recording, &why).await,
                }
            }
            Err(other) => other.into_verdict(PURPOSE),
        }
    }
}

/// The analysis, or why there is none after the second try.
async fn analyse(
    ctx: &Context,
    lease: &Lease,
    recording: &StoredRecording,
    analyst: &Analyst,
    transcript: &str,
) -> Result<Result<Analysis, String>, Unfinished> {
    let ask = async |nth: u32, messages: &[Message]| {
        let effect = AskAnalyst {
            account_id: &recording.account_id,
            recording_ref: &recording.recording_ref,
            transcription_id: recording.transcription_id,
            nth,
            analyst,
            messages,
        };
        journal::once(ctx, lease, &effect).await?;
        let answered = answer(ctx, &effect).await?;
        answered.ok_or(Unfinished::NotWanted("its analysis is there, or deleted"))
    };
    let first = ask(1, &question(transcript)).await?;
    let faults = match read(first.expose_secret()) {
        Ok(analysis) => return Ok(Ok(analysis)),
        Err(faults) => faults,
    };
    let again = repair(transcript, first.expose_secret(), &faults);
    let second = ask(2, &again).await?;
    Ok(read(second.expose_secret()).map_err(|faults| {
        let faults = faults.join("; ");
        format!("what the model answered twice is no analysis: {faults}")
    }))
}

async fn store(
    ctx: &Context,
    lease: &Lease,
    recording: &StoredRecording,
    analysis: &Analysis,
) -> Result<Outcome, Failure> {
    let (account_id, recording_ref) = (&recording.account_id, &recording.recording_ref);
    let text = serde_json::to_string(analysis).expect("an analysis is plain data");
    let place = Place::of_recording("analysis_sealed", account_id, recording_ref);
    let sealed = ctx.keyring.seal(&SecretString::from(text), place);
    let mut tx = lease.begin(&ctx.pools.work).await?;
    recordings::analysed(&mut tx, account_id, recording_ref, &sealed, ctx.clock.now()).await?;
    let kept = recording.transcription_id.to_string();
    speech_answers::forget(&mut tx, account_id, &kept).await?;
    findings::close(&mut tx, REFUSES, PURPOSE, "it answers").await?;
    tx.commit().await?;
    Ok(Outcome::Done)
}

async fn fail(
    ctx: &Context,
    lease: &Lease,
    recording: &StoredRecording,
    why: &str,
) -> Result<Outcome, Failure> {
    let (account_id, recording_ref) = (&recording.account_id, &recording.recording_ref);
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let now = ctx.clock.now();
    // There will be no analysis: the answers are of no more use.
    recordings::analysis_failed(&mut tx, account_id, recording_ref, why, now).await?;
    let kept = recording.transcription_id.to_string();
    speech_answers::forget(&mut tx, account_id, &kept).await?;
    tx.commit().await?;
    Ok(Outcome::Skipped(why.to_owned()))
}
