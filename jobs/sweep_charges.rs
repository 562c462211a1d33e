//! Find what is owed and on no invoice, and invoices of ours that were begun and not finished.
//!
//! Enqueued by the timetable. Safe to run twice: it only asks for `raise_usage_invoice`, of which one lives at a time
//! for each account. It is what gets charges onto invoices; webhooks only make it happen sooner.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepCharges {
    pub tick_at: DateTime<Utc>,
}

impl Job for SweepCharges {
    const KIND: &'static str = "sweep_charges";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}
