//! Compare what Twilio holds for us with what we hold ourselves, both ways.
//!
//! Enqueued by the timetable, each night. Safe to run twice: it asks for jobs that are safe to run
//! twice, and a finding is open once per subject. It adopts what carries an open order's tag, closes
//! an empty double of our own making, reports the rest, and never releases a number.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane, provision_number::NumberStatus, provision_subaccount::SubaccountStatus};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepProviderResources {
    pub tick_at: DateTime<Utc>,
}

impl Job for SweepProviderResources {
    const KIND: &'static str = "sweep_provider_resources";
    const LANE: Lane = Lane::Bulk;
    /// One call for every subaccount.
    const TIMEOUT: Duration = Duration::from_secs(3600);

    /// One sweep at a time, whichever tick asked for it.
    fn key(&self) -> String {
        String::new()
    }
}

/// What our table knows about a subaccount that Twilio lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OurSubaccount {
    /// No row has its id or its name.
    None,
    /// A row has its id.
    Known(SubaccountStatus),
    /// A row has its name and waits for an id.
    Ordered,
    /// A row has its name and another subaccount's id.
    Doubled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSubaccount {
    Fine,
    /// An order waits for it: its job finds it by name.
    Adopt,
    /// A double of our own making with nothing in it.
    Close,
    Report(&'static str),
}

/// What to do about a listed subaccount that is not closed.
pub fn decide_on_subaccount(
    ours: &OurSubaccount,
    status_there: &str,
    has_numbers: bool,
) -> OnSubaccount {
    match ours {
        OurSubaccount::None => OnSubaccount::Report(UNKNOWN_SUBACCOUNT),
        OurSubaccount::Ordered => OnSubaccount::Adopt,
        OurSubaccount::Doubled if has_numbers => OnSubaccount::Report(DOUBLED_SUBACCOUNT),
        OurSubaccount::Doubled => OnSubaccount::Close,
        OurSubaccount::Known(status) if status.as_str() == status_there => OnSubaccount::Fine,
        OurSubaccount::Known(_) => OnSubaccount::Report(SUBACCOUNT_DIFFERS),
    }
}

/// What our table knows about a number that Twilio lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OurNumber {
    None,
    /// A row has its id.
    Known(NumberStatus),
    /// The row its tag names has exactly this number as its candidate, and no id yet.
    Ordered(NumberStatus),
    /// The row its tag names bought another number, or gave up.
    Stray,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNumber {
    Fine,
    Adopt,
    Report(&'static str),
}

/// What to do about a listed number.
pub fn decide_on_number(ours: &OurNumber) -> OnNumber {
    match ours {
        OurNumber::None => OnNumber::Report(UNKNOWN_NUMBER),
        OurNumber::Stray => OnNumber::Report(DOUBLED_NUMBER),
        OurNumber::Known(NumberStatus::Released) | OurNumber::Ordered(NumberStatus::Released) => {
            OnNumber::Report(RELEASED_NUMBER_KEPT)
        }
        OurNumber::Known(_) => OnNumber::Fine,
        OurNumber::Ordered(_) => OnNumber::Adopt,
    }
}

pub const UNKNOWN_SUBACCOUNT: &str = "unknown_subaccount";
pub const DOUBLED_SUBACCOUNT: &str = "doubled_subaccount";
pub const SUBACCOUNT_DIFFERS: &str = "subaccount_differs";
pub const SUBACCOUNT_MISSING: &str = "subaccount_missing";
pub const UNKNOWN_NUMBER: &str = "unknown_number";
pub const DOUBLED_NUMBER: &str = "doubled_number";
pub const RELEASED_NUMBER_KEPT: &str = "released_number_kept";
pub const NUMBER_MISSING: &str = "number_missing";
/// A subaccount's token does not open: copied from another row, damaged, or its key is gone. None of
/// its callbacks is taken in until the right one is back.
pub const TOKEN_UNREADABLE: &str = "token_unreadable";

/// The findings a whole sweep opens, and closes when they hold no longer.
pub const FINDINGS: [&str; 9] = [
    UNKNOWN_SUBACCOUNT,
    DOUBLED_SUBACCOUNT,
    SUBACCOUNT_DIFFERS,
    SUBACCOUNT_MISSING,
    UNKNOWN_NUMBER,
    DOUBLED_NUMBER,
    RELEASED_NUMBER_KEPT,
    NUMBER_MISSING,
    TOKEN_UNREADABLE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_double_of_ours_is_closed() {
        for (ours, has_numbers, then) in [
            (OurSubaccount::Doubled, false, OnSubaccount::Close),
            (
                OurSubaccount::Doubled,
                true,
                OnSubaccount::Report(DOUBLED_SUBACCOUNT),
            ),
            (
                OurSubaccount::None,
                false,
                OnSubaccount::Report(UNKNOWN_SUBACCOUNT),
            ),
            (OurSubaccount::Ordered, false, OnSubaccount::Adopt),
            (
                OurSubaccount::Known(SubaccountStatus::Active),
                false,
                OnSubaccount::Fine,
            ),
            (
                OurSubaccount::Known(SubaccountStatus::Suspended),
                true,
                OnSubaccount::Report(SUBACCOUNT_DIFFERS),
            ),
        ] {
            assert_eq!(decide_on_subaccount(&ours, "active", has_numbers), then);
        }
    }

    #[test]
    fn a_number_that_is_not_ours_is_reported_and_kept() {
        for (ours, then) in [
            (OurNumber::None, OnNumber::Report(UNKNOWN_NUMBER)),
            (OurNumber::Stray, OnNumber::Report(DOUBLED_NUMBER)),
            (
                OurNumber::Known(NumberStatus::Released),
                OnNumber::Report(RELEASED_NUMBER_KEPT),
            ),
            (OurNumber::Ordered(NumberStatus::Buying), OnNumber::Adopt),
            (OurNumber::Known(NumberStatus::Active), OnNumber::Fine),
        ] {
            assert_eq!(decide_on_number(&ours), then);
        }
    }
}
