//! Record what Stripe says now of one invoice: the billing history, the ledger, and what follows from it.
//!
//! Enqueued by `handle_stripe_event` for every event about an invoice, and whenever we changed one. Safe to run twice:
//! it stores what was fetched, each ledger transaction and each notice is there once for what it is about. It never
//! believes an event. Asks for `attach_charges` where it is a renewal's draft.

use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordInvoice {
    pub invoice_ref: String,
}

impl Job for RecordInvoice {
    const KIND: &'static str = "record_invoice";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.invoice_ref.clone()
    }
}
