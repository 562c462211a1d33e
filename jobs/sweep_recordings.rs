//! Take up what was left undone of recordings: what nobody could transcribe or analyse while nothing was configured for
//! it, and what an operator cancelled.
//!
//! Enqueued by the timetable. Safe to run twice: it only asks for the next step of each, of which one lives at a time.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRecordings {
    pub tick_at: DateTime<Utc>,
}

impl Job for SweepRecordings {
    const KIND: &'static str = "sweep_recordings";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}
