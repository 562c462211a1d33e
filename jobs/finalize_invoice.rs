//! Finalize an invoice of our own: the one step that cannot be taken back.
//!
//! Enqueued by `compare_invoice` once its lines were seen to be right. Safe to run twice: to finalize is an effect of
//! the journal, and Stripe finalizes an invoice once. It touches no invoice that is not ours, and none of an account
//! that is parked. Asks for `record_invoice`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalizeInvoice {
    pub invoice_id: Uuid,
}

impl Job for FinalizeInvoice {
    const KIND: &'static str = "finalize_invoice";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.invoice_id.to_string()
    }
}
