//! Find out whether a recording that was told of is there, and may be transcribed.
//!
//! Enqueued when a callback or the list says that it is over, and by `sweep_recordings`. Its audio is not kept: the run
//! that hands it over reads it from the provider itself, since the next run may be on another machine. Safe to run
//! twice: it looks, and what it learns is learnt once. It never uses an address that a callback told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Job,
    telephony::recordings::{self, Status, look_again_at},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRecording {
    pub account_id: String,
    pub recording_ref: String,
}

impl Job for FetchRecording {
    const KIND: &'static str = "fetch_recording";

    fn key(&self) -> String {
        recordings::key(&self.account_id, &self.recording_ref)
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}

/// What the provider says of it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It knows no such recording.
    Unknown,
    /// It knows it; its audio was not asked for, or is not there yet.
    Known(Status),
    /// Its audio is there; so many bytes of it, where that is told.
    There { bytes: Option<u64> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It may be transcribed.
    Transcribe,
    /// Not there yet.
    LookAgain(DateTime<Utc>),
    /// There will never be a transcript of it, and why.
    Fail(&'static str),
}

pub const TOO_LARGE: &str = "the recording is larger than RECORDING_MAX";

/// `told_at` is when we first heard of it.
pub fn decide(look: Look, told_at: DateTime<Utc>, now: DateTime<Utc>, bytes_max: u64) -> Plan {
    match look {
        Look::There { bytes: Some(bytes) } if bytes > bytes_max => Plan::Fail(TOO_LARGE),
        Look::There { .. } => Plan::Transcribe,
        Look::Known(Status::Absent) => Plan::Fail("nothing was recorded"),
        Look::Known(Status::Deleted) => Plan::Fail("the recording was deleted at the provider"),
        Look::Known(_) | Look::Unknown => match look_again_at(told_at, now) {
            Some(at) => Plan::LookAgain(at),
            None => Plan::Fail("the provider does not have the recording"),
        },
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn what_is_there_is_transcribed_what_is_late_is_awaited_and_what_never_comes_fails() {
        let told_at = DateTime::UNIX_EPOCH;
        let soon = told_at + TimeDelta::seconds(1);
        let late = told_at + TimeDelta::hours(6);
        let is_awaited = |plan: &Plan| matches!(plan, Plan::LookAgain(at) if *at > soon);
        for (look, now, expected) in [
            (Look::There { bytes: Some(10) }, soon, Plan::Transcribe),
            (Look::There { bytes: None }, late, Plan::Transcribe),
            (Look::There { bytes: Some(11) }, soon, Plan::Fail(TOO_LARGE)),
            (
                Look::Known(Status::Absent),
                soon,
                Plan::Fail("nothing was recorded"),
            ),
        ] {
            assert_eq!(decide(look, told_at, now, 10), expected, "{look:?}");
        }
        for look in [
            Look::Unknown,
            Look::Known(Status::Completed),
            Look::Known(Status::Processing),
        ] {
            assert!(is_awaited(&decide(look, told_at, soon, 10)), "{look:?}");
            assert!(
                matches!(decide(look, told_at, late, 10), Plan::Fail(_)),
                "{look:?}"
            );
        }
    }
}
