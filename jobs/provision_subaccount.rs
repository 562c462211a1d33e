//! Give an account its own Twilio subaccount, once.
//!
//! Enqueued by `sync_subscription` when a plan with telephony is active, and by the API.

use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionSubaccount {
    pub account_id: String,
}

impl Job for ProvisionSubaccount {
    const KIND: &'static str = "provision_subaccount";
    const LANE: Lane = Lane::Money;

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
