//! Enter in the ledger what was refunded of one charge, and tell of it.
//!
//! Enqueued by `handle_stripe_event` for `charge.refunded` and for events about one refund. Safe to run twice: Stripe says what was refunded in all, and
//! only the difference to what is entered is entered, under the account's lock. It gives nothing back itself.

use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRefund {
    pub charge_ref: String,
}

impl Job for ApplyRefund {
    const KIND: &'static str = "apply_refund";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.charge_ref.clone()
    }
}
