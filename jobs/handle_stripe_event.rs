//! Find out what a stored Stripe event asks for, and ask for it.
//!
//! Enqueued by the receiver (and by `poll_stripe_events`) in the transaction that stores the
//! webhook. Safe to run twice: what it asks for is keyed by its subject.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Job;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleStripeEvent {
    pub webhook_id: Uuid,
}

impl Job for HandleStripeEvent {
    const KIND: &'static str = "handle_stripe_event";

    fn key(&self) -> String {
        self.webhook_id.to_string()
    }
}
