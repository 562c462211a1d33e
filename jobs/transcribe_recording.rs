//! Have a recording written down by the speech endpoint, and count it.
//!
//! Enqueued by `fetch_recording` and `sweep_recordings`. Without an endpoint in the settings it leaves the recording
//! `pending`. Safe to run twice: every part is asked for through the journal and its answer kept the moment it comes,
//! so a run goes on where the one before ended. An endpoint cannot be asked what it answered: where the answer was lost
//! on its way the part is handed over again, which costs the operator cents. The customer is counted the recording
//! itself, by its own id, in the transaction that stores the transcript: once, whatever happens before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy, outside::Refusal, telephony::recordings};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscribeRecording {
    pub account_id: String,
    pub recording_ref: String,
}

impl Job for TranscribeRecording {
    const KIND: &'static str = "transcribe_recording";
    /// It takes minutes: nothing that somebody waits for stands behind it.
    const LANE: Lane = Lane::Bulk;
    /// Each failure may have been paid for.
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 10,
        base: Duration::from_secs(30),
        ..RetryPolicy::DEFAULT
    };
    /// The file and some parts; what was answered by then is kept.
    const TIMEOUT: Duration = Duration::from_secs(45 * 60);

    fn key(&self) -> String {
        recordings::key(&self.account_id, &self.recording_ref)
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}

/// Why an endpoint for speech or analysis says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The key, the address, the model, the account's credit: every request is refused until a person has seen to it.
    Settings,
    /// What was sent: it will be refused again.
    Content,
}

/// By the status, and the code where there is one.
pub fn cause(refusal: &Refusal) -> Cause {
    match refusal.status {
        // 413: RECORDING_PART_MAX is more than it takes. 429 reaches us only for spent credit.
        401 | 403 | 404 | 405 | 413 | 429 => Cause::Settings,
        300..=399 => Cause::Settings,
        _ => Cause::Content,
    }
}

/// One text of the parts'.
pub fn joined(parts: &[String]) -> String {
    let texts = parts.iter().map(|part| part.trim());
    let texts: Vec<&str> = texts.filter(|part| !part.is_empty()).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_person_can_change_is_told_from_what_is_wrong_with_a_file() {
        for (status, expected) in [
            (400, Cause::Content),
            (415, Cause::Content),
            (422, Cause::Content),
            (200, Cause::Content),
            (302, Cause::Settings),
            (401, Cause::Settings),
            (404, Cause::Settings),
            (413, Cause::Settings),
            (429, Cause::Settings),
        ] {
            let refusal = Refusal {
                status,
                code: String::new(),
                message: String::new(),
            };
            assert_eq!(cause(&refusal), expected, "{status}");
        }
    }

    #[test]
    fn parts_become_one_text() {
        let parts = [" Hello.", "", " How are\nyou? "].map(str::to_owned);
        assert_eq!(joined(&parts), "Hello. How are\nyou?");
        assert_eq!(joined(&[" ".to_owned()]), "");
    }
}
