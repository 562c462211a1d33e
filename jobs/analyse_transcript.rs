//! Have a transcript analysed by the language model of the settings.
//!
//! Enqueued by `transcribe_recording` and `sweep_recordings`. Without a model in the settings the analysis stays
//! `pending`. Safe to run twice: it is asked for through the journal, each try once, and its answer kept as it comes. An
//! answer that is no analysis is sent back once, with what is wrong with it; after that the analysis has failed, and the
//! transcript stays as it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy, telephony::recordings};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyseTranscript {
    pub account_id: String,
    pub recording_ref: String,
}

impl Job for AnalyseTranscript {
    const KIND: &'static str = "analyse_transcript";
    const LANE: Lane = Lane::Bulk;
    /// Each failure may have been paid for.
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 10,
        base: Duration::from_secs(30),
        ..RetryPolicy::DEFAULT
    };
    /// Two answers of a model.
    const TIMEOUT: Duration = Duration::from_secs(45 * 60);

    fn key(&self) -> String {
        recordings::key(&self.account_id, &self.recording_ref)
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
