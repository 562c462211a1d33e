//! Delete a recording at the provider; see the promise in `jobs/delete_recording.rs`.

use tollkeeper_jobs::{
    DeleteRecording,
    telephony::recordings::{Recording, look_again_at},
};

use super::Work;
use crate::{
    context::Context,
    db::{recordings, speech_answers},
    journal::{self, twilio::RemoveRecording},
    queue::{Failure, Lease, Outcome},
};

impl Work for DeleteRecording {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let (account_id, recording_ref) = (&self.account_id, &self.recording_ref);
        let mut conn = ctx.pools.work.acquire().await?;
        let recording = recordings::load(&mut conn, account_id, recording_ref).await?;
        drop(conn);
        let Some(recording) = recording else {
            return Ok(Outcome::Skipped("nobody told of it".into()));
        };
        let is_wished = recording.transcript == "deleted";
        let is_done = recording.transcript == "completed" && ctx.config.recordings.is_deleted;
        if !is_wished && !is_done {
            return Ok(Outcome::Skipped("it is kept".into()));
        }
        // What is still being made cannot be deleted, and its id may lead nowhere yet: that is not "gone already".
        let is_whole = Recording::from(&recording).status.is_final();
        let now = ctx.clock.now();
        if !is_whole && let Some(at) = look_again_at(recording.told_at, now) {
            return Ok(Outcome::Later(at, "it is not complete yet".into()));
        }
        if recording.removed_at.is_none() {
            let effect = RemoveRecording {
                account_id,
                recording_ref,
                held_by_ref: &recording.held_by_ref,
                transcription_id: recording.transcription_id,
            };
            if let Err(unfinished) = journal::once(ctx, lease, &effect).await {
                return unfinished.into_verdict("twilio");
            }
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        recordings::removed(&mut tx, account_id, recording_ref, ctx.clock.now()).await?;
        if is_wished {
            let kept = recording.transcription_id.to_string();
            speech_answers::forget(&mut tx, account_id, &kept).await?;
        }
        tx.commit().await?;
        Ok(Outcome::Done)
    }
}
