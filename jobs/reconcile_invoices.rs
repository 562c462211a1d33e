//! Have the books of everybody who was invoiced lately compared with Stripe's, both ways.
//!
//! Enqueued by the timetable. Safe to run twice: it only asks for `reconcile_account`, of which one lives at a time for
//! each account, in the account's own turn.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileInvoices {
    pub tick_at: DateTime<Utc>,
}

impl Job for ReconcileInvoices {
    const KIND: &'static str = "reconcile_invoices";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}

/// What is older than this changes no more: late usage goes on the invoice that comes next.
const LOOKED_BACK: TimeDelta = TimeDelta::days(70);

/// Invoices made since then are compared.
pub fn since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - LOOKED_BACK
}
