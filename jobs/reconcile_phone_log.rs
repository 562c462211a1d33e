//! Add what the callbacks of one account's subaccount never told: read Twilio's lists of calls, messages and recordings,
//! learn from them as from callbacks, and meter under the same ids. Of the main account's lists only what the account
//! itself asked for: everything else there is somebody else's.
//!
//! Asked for by `reconcile_phone_logs`. Safe to run twice: what is known already stays as it is. A call that the list
//! says was of another length than its callback said is a person's matter.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Job, Lane, RetryPolicy,
    telephony::calls::{Call, Report},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcilePhoneLog {
    pub account_id: String,
}

impl Job for ReconcilePhoneLog {
    const KIND: &'static str = "reconcile_phone_log";
    const LANE: Lane = Lane::Bulk;
    /// The next tick asks again anyway.
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 10,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}

/// What has ended comes to the lists a little later.
const LISTED_WITHIN: TimeDelta = TimeDelta::days(1);

/// From which day on the lists are read: days are GMT there. `read_until` is when they were read last, or when the
/// subaccount was made.
pub fn since(read_until: DateTime<Utc>) -> NaiveDate {
    (read_until - LISTED_WITHIN).date_naive()
}

/// What left from the main account's number is looked for there until it has ended, for a week at most, and for two days
/// in any case: what it costs is listed late.
pub const FALLBACK_OPEN_FOR: TimeDelta = TimeDelta::days(7);
pub const FALLBACK_PRICED_WITHIN: TimeDelta = TimeDelta::days(2);

/// The lengths of a call in seconds by us and by them, where they differ.
pub fn difference(ours: &Call, theirs: &Report) -> Option<(u32, u32)> {
    let theirs = theirs
        .seconds
        .filter(|_| theirs.status.is_some_and(|status| status.is_final()))?;
    let ours = ours.seconds?;
    (ours != theirs).then_some((ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telephony::calls::{Status, learn};

    #[test]
    fn the_day_before_is_read_again_and_the_year_does_not_matter() {
        for (read_until, first) in [
            ("2026-11-22T00:30:00Z", "2026-11-21"),
            ("2026-11-22T23:59:59Z", "2026-11-21"),
            ("2027-01-01T12:00:00Z", "2026-12-31"),
        ] {
            let first: NaiveDate = first.parse().unwrap();
            assert_eq!(since(read_until.parse().unwrap()), first, "{read_until}");
        }
    }

    #[test]
    fn a_call_differs_only_where_both_know_how_long_it_was() {
        let now = DateTime::UNIX_EPOCH;
        let said = |status, seconds| Report {
            call_ref: "CA1".into(),
            status: Some(status),
            seconds,
            ..Report::default()
        };
        let ours = learn(None, &said(Status::Completed, Some(61)), now);
        for (theirs, expected) in [
            (said(Status::Completed, Some(61)), None),
            (said(Status::Completed, Some(62)), Some((61, 62))),
            (said(Status::Completed, None), None),
            (said(Status::InProgress, Some(9)), None),
        ] {
            assert_eq!(difference(&ours, &theirs), expected, "{theirs:?}");
        }
        let running = learn(None, &said(Status::InProgress, None), now);
        assert_eq!(
            difference(&running, &said(Status::Completed, Some(9))),
            None
        );
    }
}
