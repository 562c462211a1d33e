//! Count the usage of the last weeks again, and compare: counters are derived from the events, and this finds the
//! one that is not what its events add up to.
//!
//! Enqueued by the timetable every night; `tollkeeper usage recount` does the same at once. Safe to run twice:
//! what was set right agrees. It never changes an event.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecountUsage {
    pub tick_at: DateTime<Utc>,
}

impl Job for RecountUsage {
    const KIND: &'static str = "recount_usage";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}

/// Every window that may still run has begun since.
const LOOKED_AT: TimeDelta = TimeDelta::days(35);

/// The windows that begin from then on are counted again.
pub fn since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - LOOKED_AT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_that_runs_is_always_looked_at() {
        let now = DateTime::UNIX_EPOCH;
        assert!(now - since(now) > TimeDelta::days(31));
    }
}
