//! What the jobs about recordings have in common: how a transcription fails, and what a refusal leads to.

use chrono::TimeDelta;
use serde_json::json;
use tollkeeper_jobs::{
    outside::Refusal,
    transcribe_recording::{Cause, cause},
};

use crate::{
    context::Context,
    db::{findings, recordings::StoredRecording},
    queue::{Failure, Lease, Outcome},
};

/// The finding about an endpoint that refuses whatever it is asked; its subject is what it is there for.
pub const REFUSES: &str = "speech_endpoint_refuses";
/// How long such an endpoint is left alone.
const LEFT_ALONE: TimeDelta = TimeDelta::hours(1);

/// What to do about a refusal.
pub enum Verdict {
    /// A person has to see to the settings: until then everything waits.
    Wait(Outcome),
    /// It will be refused again, and why.
    Fail(String),
}

/// `purpose` is transcription or analysis.
pub async fn refused(
    ctx: &Context,
    lease: &Lease,
    purpose: &str,
    refusal: &Refusal,
) -> Result<Verdict, Failure> {
    let Refusal {
        status,
        code,
        message,
    } = refusal;
    if cause(refusal) == Cause::Content {
        let why = format!("the {purpose} endpoint refused it (status {status}) {code} {message}");
        return Ok(Verdict::Fail(why.trim_end().to_owned()));
    }
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let detail = json!({ "status": status, "code": code, "message": message });
    findings::open(&mut tx, REFUSES, purpose, "", &detail).await?;
    tx.commit().await?;
    let why =
        format!("the {purpose} endpoint refuses everything (status {status}); a finding is open");
    Ok(Verdict::Wait(Outcome::Later(
        ctx.clock.now() + LEFT_ALONE,
        why,
    )))
}

/// There will be no transcript of it.
pub async fn fail(
    ctx: &Context,
    lease: &Lease,
    recording: &StoredRecording,
    why: &str,
) -> Result<Outcome, Failure> {
    let (account_id, recording_ref) = (&recording.account_id, &recording.recording_ref);
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let now = ctx.clock.now();
    crate::db::recordings::failed(&mut tx, account_id, recording_ref, why, now).await?;
    tx.commit().await?;
    Ok(Outcome::Skipped(why.to_owned()))
}
