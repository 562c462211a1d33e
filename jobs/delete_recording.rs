//! Delete a recording at the provider, and what was kept of answers about it.
//!
//! Enqueued with the transcript, if the settings say so, and when somebody deletes the transcription. Safe to run twice:
//! what is gone counts as deleted. It waits for the end of what is still recorded, and never deletes what was neither
//! transcribed nor wished away.

use serde::{Deserialize, Serialize};

use crate::{Job, RetryPolicy, telephony::recordings};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRecording {
    pub account_id: String,
    pub recording_ref: String,
}

impl Job for DeleteRecording {
    const KIND: &'static str = "delete_recording";
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 50,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        recordings::key(&self.account_id, &self.recording_ref)
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
