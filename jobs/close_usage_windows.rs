//! Close the windows of usage that are over, for reports: count them again, and say that they are right.
//!
//! Enqueued by the timetable every hour, since days end at every hour somewhere. Safe to run twice: what is
//! counted again is the same. A late use opens its windows again, and the next run closes them. It never changes
//! an event; a counter that was wrong is set right and reported to a person.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseUsageWindows {
    pub tick_at: DateTime<Utc>,
}

impl Job for CloseUsageWindows {
    const KIND: &'static str = "close_usage_windows";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}

/// What is on its way when a window ends is waited for.
const SETTLES_FOR: TimeDelta = TimeDelta::minutes(10);

/// The windows that ended before this are closed.
pub fn ended_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - SETTLES_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_left_alone_for_a_while_after_its_end() {
        let now = DateTime::UNIX_EPOCH;
        assert!(ended_before(now) < now);
    }
}
