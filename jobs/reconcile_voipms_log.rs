//! Add what the callbacks of one account's VoIP.ms numbers never told: read the list of each number's messages, and learn
//! and meter what it says.
//!
//! Asked for by `reconcile_phone_logs`. Safe to run twice: what is known already stays as it is.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileVoipmsLog {
    pub account_id: String,
}

impl Job for ReconcileVoipmsLog {
    const KIND: &'static str = "reconcile_voipms_log";
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

/// What came is listed a little later.
const LISTED_WITHIN: TimeDelta = TimeDelta::days(1);
/// No list is longer.
const DAYS_MAX: TimeDelta = TimeDelta::days(90);

/// The days to ask for, whose midnight is New York's, and until when the list is read then. `read_until` is when it was
/// read last, or when the number was bought.
pub fn span(
    read_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (NaiveDate, NaiveDate, DateTime<Utc>) {
    // A day more at the beginning, for it begins later there.
    let first = read_until - LISTED_WITHIN - TimeDelta::days(1);
    let until = now.min(first + DAYS_MAX);
    (first.date_naive(), until.date_naive(), until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_for_long_is_read_in_parts_without_a_gap() {
        let now: DateTime<Utc> = "2026-10-15T02:00:00Z".parse().unwrap();
        let mut read_until: DateTime<Utc> = "2026-01-10T12:00:00Z".parse().unwrap();
        let mut parts = Vec::new();
        while read_until < now {
            let (first, last, until) = span(read_until, now);
            assert!(first < read_until.date_naive() && until > read_until);
            parts.push((first.to_string(), last.to_string()));
            read_until = until;
        }
        let expected = [
            ("2026-01-08", "2026-04-08"),
            ("2026-04-06", "2026-07-05"),
            ("2026-07-03", "2026-10-01"),
            ("2026-09-29", "2026-10-15"),
        ];
        let expected = expected.map(|(first, last)| (first.to_owned(), last.to_owned()));
        assert_eq!(parts, expected);
    }
}
