//! Have the provider call somebody, once.
//!
//! Enqueued with the row of the wish, in its transaction. Safe to run twice: the call is one effect of the journal. A
//! call whose outcome is not known is looked for in the provider's list, and never dialled again; what could not be
//! dialled within five minutes is not dialled any more.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceCall {
    pub outbound_id: Uuid,
    pub account_id: String,
}

impl Job for PlaceCall {
    const KIND: &'static str = "place_call";
    /// Somebody has pressed a button and waits.
    const LANE: Lane = Lane::Voice;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 50,
        cap: Duration::from_secs(15),
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.outbound_id.to_string()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
