//! Take up what was left undone of recordings; see the promise in `jobs/sweep_recordings.rs`.

use chrono::TimeDelta;
use tollkeeper_jobs::{
    AnalyseTranscript, DeleteRecording, FetchRecording, Job, NewJob, SweepRecordings,
    TranscribeRecording,
};

use super::Work;
use crate::{
    context::Context,
    db::recordings::{self, Step},
    queue::{self, Failure, Lease, Outcome},
};

/// The next tick takes the rest.
const BATCH_MAX: i64 = 500;
/// So long a recording may be told of without its end: its callback was lost, or the call goes on.
const TOLD_WITHIN: TimeDelta = TimeDelta::minutes(10);

impl Work for SweepRecordings {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let mut jobs = Vec::new();
        for step in steps(ctx) {
            let wait = match step {
                Step::Fetch => TOLD_WITHIN,
                _ => TimeDelta::zero(),
            };
            let before = ctx.clock.now() - wait;
            let undone = recordings::undone(&mut tx, step, kind(step), before, BATCH_MAX).await?;
            jobs.extend(
                undone
                    .into_iter()
                    .map(|(account_id, recording_ref)| job(step, account_id, recording_ref)),
            );
        }
        if jobs.is_empty() {
            return Ok(Outcome::Skipped("nothing was left undone".into()));
        }
        queue::enqueue_all(&mut tx, &jobs).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}

/// Those that the settings allow.
fn steps(ctx: &Context) -> Vec<Step> {
    let mut steps = vec![Step::Fetch, Step::Forget];
    steps.extend(ctx.speech.transcriber.is_some().then_some(Step::Transcribe));
    steps.extend(ctx.speech.analyst.is_some().then_some(Step::Analyse));
    steps.extend(ctx.config.recordings.is_deleted.then_some(Step::Delete));
    steps
}

fn kind(step: Step) -> &'static str {
    match step {
        Step::Fetch => FetchRecording::KIND,
        Step::Transcribe => TranscribeRecording::KIND,
        Step::Analyse => AnalyseTranscript::KIND,
        Step::Delete | Step::Forget => DeleteRecording::KIND,
    }
}

fn job(step: Step, account_id: String, recording_ref: String) -> NewJob {
    match step {
        Step::Fetch => NewJob::of(&FetchRecording {
            account_id,
            recording_ref,
        }),
        Step::Transcribe => NewJob::of(&TranscribeRecording {
            account_id,
            recording_ref,
        }),
        Step::Analyse => NewJob::of(&AnalyseTranscript {
            account_id,
            recording_ref,
        }),
        Step::Delete | Step::Forget => NewJob::of(&DeleteRecording {
            account_id,
            recording_ref,
        }),
    }
}
