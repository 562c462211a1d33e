//! Compare what Twilio and VoIP.ms hold for us with what we hold ourselves, both ways.
//!
//! Enqueued by the timetable, each hour. Safe to run twice: it asks for jobs that are safe to run
//! twice, a number has one row, and a finding is open once per subject. It adopts what carries an open order's tag, takes
//! in a number that was bought elsewhere for a subaccount that works, closes an empty double of our own making, reports
//! the rest, and never releases a number. What is at VoIP.ms without our mark is nobody's, and is only reported.

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
    /// A row has its id; whether its account's telephony is ordered, and not taken away.
    Known {
        status: SubaccountStatus,
        is_ordered: bool,
    },
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
    /// It was suspended and works again: our row says so too.
    Note,
    /// It was taken away by somebody else: our row says so too, so that nothing more is asked of it, and a person is told.
    NoteAndReport(&'static str),
    Report(&'static str),
}

/// What to do about a listed subaccount.
pub fn decide_on_subaccount(
    ours: &OurSubaccount,
    status_there: &str,
    has_numbers: bool,
) -> OnSubaccount {
    let is_closed = status_there == SubaccountStatus::Closed.as_str();
    match ours {
        OurSubaccount::Known { status, is_ordered } => match status_there {
            "suspended" | "closed" if *is_ordered => {
                OnSubaccount::NoteAndReport(SUBACCOUNT_DIFFERS)
            }
            _ if status.as_str() == status_there => OnSubaccount::Fine,
            "closed" => OnSubaccount::NoteAndReport(SUBACCOUNT_DIFFERS),
            "active" if *is_ordered && *status == SubaccountStatus::Suspended => OnSubaccount::Note,
            _ => OnSubaccount::Report(SUBACCOUNT_DIFFERS),
        },
        _ if is_closed => OnSubaccount::Fine,
        OurSubaccount::None => OnSubaccount::Report(UNKNOWN_SUBACCOUNT),
        OurSubaccount::Ordered => OnSubaccount::Adopt,
        OurSubaccount::Doubled if has_numbers => OnSubaccount::Report(DOUBLED_SUBACCOUNT),
        OurSubaccount::Doubled => OnSubaccount::Close,
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
    /// Bought elsewhere for this account: it becomes a number of theirs.
    TakeIn,
    Report(&'static str),
}

/// What to do about a listed number. `is_at_home`: in the subaccount of an account of ours whose telephony works.
pub fn decide_on_number(ours: &OurNumber, is_at_home: bool) -> OnNumber {
    match ours {
        OurNumber::None if is_at_home => OnNumber::TakeIn,
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

/// The same of the numbers at VoIP.ms, where one account has them all: whose a number is, nothing there says but our mark.
pub const UNKNOWN_DID: &str = "unknown_did";
pub const DOUBLED_DID: &str = "doubled_did";
pub const RELEASED_DID_KEPT: &str = "released_did_kept";
pub const DID_MISSING: &str = "did_missing";

/// The findings about numbers at VoIP.ms, which are closed by what VoIP.ms lists alone.
pub const DID_FINDINGS: [&str; 4] = [UNKNOWN_DID, DOUBLED_DID, RELEASED_DID_KEPT, DID_MISSING];

/// What to do about a number that VoIP.ms lists.
pub fn decide_on_did(ours: &OurNumber) -> OnNumber {
    match decide_on_number(ours, false) {
        OnNumber::Report(UNKNOWN_NUMBER) => OnNumber::Report(UNKNOWN_DID),
        OnNumber::Report(DOUBLED_NUMBER) => OnNumber::Report(DOUBLED_DID),
        OnNumber::Report(RELEASED_NUMBER_KEPT) => OnNumber::Report(RELEASED_DID_KEPT),
        other => other,
    }
}

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
        ] {
            assert_eq!(decide_on_subaccount(&ours, "active", has_numbers), then);
        }
    }

    #[test]
    fn what_others_did_to_a_subaccount_is_noted_and_told_until_it_works_again() {
        use SubaccountStatus::{Active, Closed, Suspended};
        let told = OnSubaccount::NoteAndReport(SUBACCOUNT_DIFFERS);
        for (status, is_ordered, there, then) in [
            (Active, true, "active", OnSubaccount::Fine),
            (Active, true, "suspended", told),
            (Suspended, true, "suspended", told),
            (Suspended, true, "active", OnSubaccount::Note),
            (Active, true, "closed", told),
            (Closed, true, "closed", told),
            (Suspended, false, "suspended", OnSubaccount::Fine),
            (Suspended, false, "closed", told),
            (Closed, false, "closed", OnSubaccount::Fine),
            // It is not we who gave that back: the jobs that take telephony away see to it, or a person.
            (
                Suspended,
                false,
                "active",
                OnSubaccount::Report(SUBACCOUNT_DIFFERS),
            ),
        ] {
            let ours = OurSubaccount::Known { status, is_ordered };
            let found = decide_on_subaccount(&ours, there, true);
            assert_eq!(found, then, "{ours:?} {there}");
        }
        for ours in [
            OurSubaccount::None,
            OurSubaccount::Ordered,
            OurSubaccount::Doubled,
        ] {
            let found = decide_on_subaccount(&ours, "closed", true);
            assert_eq!(found, OnSubaccount::Fine);
        }
    }

    #[test]
    fn only_a_number_that_is_at_home_and_nobodys_is_taken_in() {
        assert_eq!(decide_on_number(&OurNumber::None, true), OnNumber::TakeIn);
        assert_eq!(
            decide_on_number(&OurNumber::Stray, true),
            OnNumber::Report(DOUBLED_NUMBER)
        );
        assert_eq!(
            decide_on_number(&OurNumber::Known(NumberStatus::Released), true),
            OnNumber::Report(RELEASED_NUMBER_KEPT)
        );
    }

    #[test]
    fn a_number_at_voipms_is_taken_in_by_our_mark_alone() {
        for (ours, then) in [
            (OurNumber::None, OnNumber::Report(UNKNOWN_DID)),
            (OurNumber::Stray, OnNumber::Report(DOUBLED_DID)),
            (
                OurNumber::Known(NumberStatus::Released),
                OnNumber::Report(RELEASED_DID_KEPT),
            ),
            (OurNumber::Ordered(NumberStatus::Buying), OnNumber::Adopt),
            (OurNumber::Known(NumberStatus::Active), OnNumber::Fine),
        ] {
            assert_eq!(decide_on_did(&ours), then);
            let OnNumber::Report(kind) = then else {
                continue;
            };
            assert!(DID_FINDINGS.contains(&kind) && !FINDINGS.contains(&kind));
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
            assert_eq!(decide_on_number(&ours, false), then);
        }
    }
}
