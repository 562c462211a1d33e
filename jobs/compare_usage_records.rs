//! Have the metered usage of every subaccount compared with the provider's own count.
//!
//! Enqueued by the timetable, daily: Usage Records are what the provider itself bills by. Safe to
//! run twice: it only asks for `compare_usage`, of which one lives at a time for each account, in the account's turn.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareUsageRecords {
    pub tick_at: DateTime<Utc>,
}

impl Job for CompareUsageRecords {
    const KIND: &'static str = "compare_usage_records";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}
