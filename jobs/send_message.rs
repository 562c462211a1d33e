//! Have the provider send a text message, once.
//!
//! Enqueued with the row of the wish, in its transaction. Safe to run twice: the message is one effect of the journal.
//! One whose outcome is not known is looked for in the provider's list before anything else; to one recipient messages
//! leave in the order they were asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMessage {
    pub outbound_id: Uuid,
    pub account_id: String,
}

impl Job for SendMessage {
    const KIND: &'static str = "send_message";
    const LANE: Lane = Lane::Default;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        cap: Duration::from_secs(300),
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.outbound_id.to_string()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
