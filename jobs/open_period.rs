//! See that an account's billing periods tile time up to now, as its subscriptions stand.
//!
//! Enqueued by `sync_subscription` whenever a subscription was looked at, and by `close_due_periods` for who has no
//! period yet. Safe to run twice: under the account's lock it stores only what is missing, and a period that is closed
//! is never changed. It bills nothing.

use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPeriod {
    pub account_id: String,
}

impl Job for OpenPeriod {
    const KIND: &'static str = "open_period";
    const LANE: Lane = Lane::Money;

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
