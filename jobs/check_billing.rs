//! See whether the books are right in themselves: every invariant of billing, asked of the tables.
//!
//! Enqueued by the timetable, every hour about what changed lately and every night about everything. Safe to run twice: it
//! reads, opens a finding for whatever is broken and closes those that hold no longer. It repairs nothing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckBilling {
    pub tick_at: DateTime<Utc>,
    /// Everything, however old.
    pub is_full: bool,
}

impl Job for CheckBilling {
    const KIND: &'static str = "check_billing";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        let key = if self.is_full { "full" } else { "sample" };
        key.into()
    }
}

const SAMPLE_OF: TimeDelta = TimeDelta::days(2);

/// A sample is of what changed since then.
pub fn sampled_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - SAMPLE_OF
}
