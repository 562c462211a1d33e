//! Suspend an account's telephony: its number is kept for the grace time, and answers nobody.
//!
//! Enqueued by `sync_subscription`, at once when a subscription ended, and for the end of the grace
//! time when payment is missing. Safe to run twice: whether it is still wanted is read again under
//! the account's lock, and each transition is an effect of its own. It never releases a number: it
//! asks for `release_number` at the end of the release grace.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Job, Lane, RetryPolicy,
    telephony::desired::{Standing, Wanted},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendTelephony {
    pub account_id: String,
}

impl Job for SuspendTelephony {
    const KIND: &'static str = "suspend_telephony";
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    Nothing(&'static str),
    /// The grace time is not over.
    Wait(DateTime<Utc>),
    /// Write the suspension down, then carry it out.
    Suspend,
    /// It is written down already: see that the provider knows.
    CarryOut,
}

/// Whether to suspend, by what is wanted at this moment.
pub fn decide(standing: Option<Standing>, wanted: Wanted, now: DateTime<Utc>) -> Plan {
    match (standing, wanted) {
        (None, _) => Plan::Nothing("it has no telephony"),
        (_, Wanted::Unsaid | Wanted::Keep | Wanted::Yes) => {
            Plan::Nothing("its telephony is wanted again")
        }
        (Some(Standing::Suspended | Standing::Released), _) => Plan::CarryOut,
        (Some(_), Wanted::KeepUntil(until)) if now < until => Plan::Wait(until),
        (Some(_), Wanted::KeepUntil(_) | Wanted::No) => Plan::Suspend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_inside_the_grace_time_keeps_telephony() {
        let until: DateTime<Utc> = DateTime::UNIX_EPOCH;
        let before = until - chrono::TimeDelta::microseconds(1);
        let active = Some(Standing::Active);
        assert_eq!(
            decide(active, Wanted::KeepUntil(until), before),
            Plan::Wait(until)
        );
        assert_eq!(
            decide(active, Wanted::KeepUntil(until), until),
            Plan::Suspend
        );
        assert!(matches!(
            decide(active, Wanted::Yes, until),
            Plan::Nothing(_)
        ));
        assert_eq!(
            decide(Some(Standing::Suspended), Wanted::No, until),
            Plan::CarryOut
        );
    }
}
