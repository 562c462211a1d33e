//! Find what is owed and on no invoice, and invoices of ours that were begun and not finished.
//!
//! Enqueued by the timetable. Safe to run twice: it only asks for `raise_usage_invoice` and, where lines were begun,
//! `attach_charges`, of which one lives at a time for each account and invoice. It is what gets charges onto invoices;
//! webhooks only make it happen sooner. What no invoice took for two months is a finding, and so is an invoice of ours
//! that nobody paid for one, and a draft with usage on it that Stripe has not finalized in time.

use chrono::{DateTime, TimeDelta, Utc};
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

/// What is owed since before then, a trifle or a credit that no invoice came by for, is a person's matter.
pub fn owed_for_long_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::days(60)
}

/// By then Stripe has tried all it tries to collect an invoice of our own. No renewal comes by for it, and nobody is
/// suspended for it: whether it is written off is a person's matter.
pub fn unpaid_for_long_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::days(30)
}
