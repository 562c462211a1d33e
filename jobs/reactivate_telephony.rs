//! Give a returning account its telephony back: the same subaccount, the same number.
//!
//! Enqueued by `sync_subscription` when a suspended account subscribes again. Safe to run twice: the
//! transition is written down under the account's lock and is an effect of its own. It never orders
//! a second number: while the old one is kept, `provision_number` only points it at us again.

use serde::{Deserialize, Serialize};

use crate::{
    Job, Lane, RetryPolicy,
    telephony::desired::{Standing, Wanted},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactivateTelephony {
    pub account_id: String,
}

impl Job for ReactivateTelephony {
    const KIND: &'static str = "reactivate_telephony";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 50,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Nothing(&'static str),
    /// Write the return down; `provision_subaccount` carries it out.
    Reactivate,
}

/// Whether to give telephony back, by what is wanted at this moment.
pub fn decide(standing: Option<Standing>, wanted: Wanted) -> Plan {
    match (standing, wanted) {
        (Some(Standing::Suspended | Standing::Released), Wanted::Yes) => Plan::Reactivate,
        (Some(Standing::Suspended | Standing::Released), _) => {
            Plan::Nothing("its subscriptions do not include telephony")
        }
        _ => Plan::Nothing("its telephony is not suspended"),
    }
}
