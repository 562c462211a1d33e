//! Take back the runs whose worker is gone.
//!
//! Enqueued by the timetable. Safe to run twice: a run is taken back once. It never touches a run
//! whose lease still holds.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepExpiredLeases {
    pub tick_at: DateTime<Utc>,
}

impl Job for SweepExpiredLeases {
    const KIND: &'static str = "sweep_expired_leases";
    const LANE: Lane = Lane::Bulk;

    /// One at a time is enough: a later tick looks at the same rows.
    fn key(&self) -> String {
        "all".into()
    }
}
