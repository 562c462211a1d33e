//! Decide where what an account owes goes, and make an invoice of our own where nothing else takes it.
//!
//! Enqueued by `close_period` when something is owed, by `attach_charges` when a draft takes nothing, when an invoice
//! refuses its lines, by `billing unpark`, and by `sweep_charges`. Safe to run twice: an invoice is planned in
//! the transaction that puts charges on it, under the account's lock, and making it at Stripe and each of its lines are
//! effects of the journal. It finalizes nothing: `compare_invoice` looks at it first.

use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaiseUsageInvoice {
    pub account_id: String,
}

impl Job for RaiseUsageInvoice {
    const KIND: &'static str = "raise_usage_invoice";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
