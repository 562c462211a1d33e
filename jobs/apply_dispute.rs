//! Enter in the ledger what a dispute took and what became of it, and tell of it.
//!
//! Enqueued by `handle_stripe_event` for `charge.dispute.created`, `updated`, `funds_withdrawn` and `closed`. Safe to run twice: each
//! step of a dispute is entered once, under the account's lock, whichever of them was heard of. As long as it is open a
//! finding says so: a person must answer the bank. It answers nothing itself, and takes no service away.

use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyDispute {
    pub dispute_ref: String,
}

impl Job for ApplyDispute {
    const KIND: &'static str = "apply_dispute";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.dispute_ref.clone()
    }
}
