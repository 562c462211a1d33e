//! Find the billing periods that are over and not closed, and who has none yet.
//!
//! Enqueued by the timetable. Safe to run twice: it only asks for `close_period` and `open_period`, of which one lives
//! at a time for each period and account. It is what closes periods; webhooks only make it happen sooner.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseDuePeriods {
    pub tick_at: DateTime<Utc>,
}

impl Job for CloseDuePeriods {
    const KIND: &'static str = "close_due_periods";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}
