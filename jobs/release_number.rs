//! Give a number back to the provider: a suspended account's, or one that its user wants no longer.
//!
//! Enqueued by `suspend_telephony` for the end of the release grace, and with a user's wish, which has written `releasing`
//! down already. Safe to run twice: releasing a number that is gone counts as done. By itself it never releases the
//! number of an account whose telephony is not suspended, whose grace is not over, or which subscribed again; once
//! `releasing` is written down, a return orders another number.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Job, Lane, RetryPolicy,
    provision_number::NumberStatus,
    telephony::desired::{Standing, Wanted},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseNumber {
    pub account_id: String,
    pub number_id: Uuid,
}

impl Job for ReleaseNumber {
    const KIND: &'static str = "release_number";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 50,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.number_id.to_string()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}

/// All the decision looks at, read under the account's lock.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub standing: Option<Standing>,
    pub wanted: Wanted,
    pub release_at: Option<DateTime<Utc>>,
    pub number: NumberStatus,
    /// Whether the provider's id of the number is known.
    pub is_bought: bool,
    /// Until when a purchase that was asked for may still be carried out.
    pub purchase_open_until: Option<DateTime<Utc>>,
    pub now: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Nothing(&'static str),
    Wait(DateTime<Utc>),
    /// Nobody knows whether it was bought: look, then decide again.
    LookUp,
    /// Write `releasing` down, then give it back.
    Release,
    /// It is written down already: see that it is given back.
    CarryOut,
}

/// Whether to release, by what is true at this moment.
pub fn decide(facts: &Facts) -> Plan {
    match facts.number {
        NumberStatus::Released => return Plan::Nothing("it is released already"),
        NumberStatus::Releasing => return Plan::CarryOut,
        _ => {}
    }
    if facts.standing != Some(Standing::Suspended) {
        return Plan::Nothing("its account's telephony is not suspended");
    }
    match facts.wanted {
        Wanted::Yes => return Plan::Nothing("its account subscribed again"),
        // Not understood, or a payment under way: a number given up is gone for good.
        Wanted::Keep | Wanted::KeepUntil(_) => return Plan::Wait(facts.now + TimeDelta::days(1)),
        Wanted::No | Wanted::Unsaid => {}
    }
    let due_at = facts.release_at.max(facts.purchase_open_until);
    match due_at {
        Some(due_at) if facts.now < due_at => Plan::Wait(due_at),
        Some(_) if facts.is_bought => Plan::Release,
        Some(_) => Plan::LookUp,
        None => Plan::Nothing("no release was asked for"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

    fn facts() -> Facts {
        Facts {
            standing: Some(Standing::Suspended),
            wanted: Wanted::No,
            release_at: Some(AT),
            number: NumberStatus::Suspended,
            is_bought: true,
            purchase_open_until: None,
            now: AT,
        }
    }

    #[test]
    fn a_number_is_kept_for_the_whole_grace_time() {
        let before = AT - TimeDelta::microseconds(1);
        assert_eq!(
            decide(&Facts {
                now: before,
                ..facts()
            }),
            Plan::Wait(AT)
        );
        assert_eq!(decide(&facts()), Plan::Release);
    }

    #[test]
    fn who_returned_keeps_the_number() {
        for standing in [None, Some(Standing::Provisioning), Some(Standing::Active)] {
            assert!(matches!(
                decide(&Facts {
                    standing,
                    ..facts()
                }),
                Plan::Nothing(_)
            ));
        }
        assert!(matches!(
            decide(&Facts {
                wanted: Wanted::Yes,
                ..facts()
            }),
            Plan::Nothing(_)
        ));
    }

    #[test]
    fn nothing_is_undone_while_a_purchase_may_still_be_carried_out() {
        let later = AT + TimeDelta::hours(4);
        let open = Facts {
            purchase_open_until: Some(later),
            is_bought: false,
            ..facts()
        };
        assert_eq!(decide(&open), Plan::Wait(later));
        assert_eq!(decide(&Facts { now: later, ..open }), Plan::LookUp);
    }
}
