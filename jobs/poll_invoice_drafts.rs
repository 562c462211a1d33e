//! Ask Stripe for the drafts whose events may never have come, and for those we have not looked at for a while.
//!
//! Enqueued by the timetable. Safe to run twice: it only asks for `record_invoice`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollInvoiceDrafts {
    pub tick_at: DateTime<Utc>,
}

impl Job for PollInvoiceDrafts {
    const KIND: &'static str = "poll_invoice_drafts";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}

/// A draft that was looked at before is looked at again. A renewal's lives for an hour.
pub fn stale_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::minutes(20)
}

/// Drafts made since then are asked for: the longest that Stripe keeps a renewal's open.
pub fn made_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::hours(73)
}
