//! Compare the minutes and segments metered for one account with the provider's Usage Records, day by day (GMT).
//!
//! Asked for by `compare_usage_records`. Safe to run twice: it only reads, and keeps one finding for each day that
//! differs; a later look at the same day that agrees closes it. It never changes what was metered: which side is right
//! is a person's matter.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy, usage::MicroUnits};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareUsage {
    pub account_id: String,
}

impl Job for CompareUsage {
    const KIND: &'static str = "compare_usage";
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

/// Each day is looked at so often: the provider's own count is not complete at once.
const LOOKS: u64 = 3;

/// The days to compare, the oldest first: the last ones that are over and whose lists of calls and messages were read
/// since, so that nothing of them is still on its way to us.
pub fn days(now: DateTime<Utc>, read_until: DateTime<Utc>) -> Vec<NaiveDate> {
    let today = now.date_naive();
    let days = (1..=LOOKS).rev().map(|ago| today - Days::new(ago));
    let is_read = |day: &NaiveDate| ends(*day) <= read_until;
    days.filter(is_read).collect()
}

/// The instant behind a day.
pub fn ends(day: NaiveDate) -> DateTime<Utc> {
    (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc()
}

/// One row of the provider's Usage Records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub day: NaiveDate,
    pub category: String,
    /// Minutes or segments, as they are billed.
    pub usage: MicroUnits,
}

/// The categories that are made of no other ones. The provider lists `calls` beside `calls-inbound` beside
/// `calls-inbound-local`, and whoever adds all of them up has every minute three times.
const MINUTES: [&str; 7] = [
    "calls-client",
    "calls-inbound-local",
    "calls-inbound-mobile",
    "calls-inbound-tollfree",
    "calls-outbound",
    "calls-sip-inbound",
    "calls-sip-outbound",
];
const SEGMENTS: [&str; 8] = [
    "mms-inbound-longcode",
    "mms-inbound-shortcode",
    "mms-outbound-longcode",
    "mms-outbound-shortcode",
    "sms-inbound-longcode",
    "sms-inbound-shortcode",
    "sms-outbound-longcode",
    "sms-outbound-shortcode",
];

/// What a day came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Came {
    pub minutes: MicroUnits,
    pub segments: MicroUnits,
}

/// By day, as the provider counts.
pub fn theirs(records: &[Record]) -> BTreeMap<NaiveDate, Came> {
    let mut days = BTreeMap::<NaiveDate, Came>::new();
    for record in records {
        let day = days.entry(record.day).or_default();
        let category = record.category.as_str();
        if MINUTES.contains(&category) {
            day.minutes = day.minutes + record.usage;
        } else if SEGMENTS.contains(&category) {
            day.segments = day.segments + record.usage;
        }
    }
    days
}

/// Whether a day differs by more than rounding: each side bills whole minutes and segments, so by a whole one. The
/// minutes of calls over a midnight may be on either of its days; which it is with the provider is not known.
pub fn differ(ours: Came, theirs: Came, over_midnight: MicroUnits) -> bool {
    let one = MicroUnits::of_units(1);
    let apart = |ours: MicroUnits, theirs: MicroUnits| (ours - theirs).max(theirs - ours);
    apart(ours.minutes, theirs.minutes) >= one + over_midnight
        || apart(ours.segments, theirs.segments) >= one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_compared_when_it_is_over_and_its_lists_were_read() {
        let check = |now: &str, read_until: &str, expected: &[&str]| {
            let days: Vec<String> = days(at(now), at(read_until))
                .iter()
                .map(NaiveDate::to_string)
                .collect();
            assert_eq!(days, expected, "{now}, {read_until}");
        };
        let now = "2026-03-02T06:47:00Z";
        check(now, now, &["2026-02-27", "2026-02-28", "2026-03-01"]);
        check(
            now,
            "2026-03-02T00:00:00Z",
            &["2026-02-27", "2026-02-28", "2026-03-01"],
        );
        check(now, "2026-03-01T23:59:59Z", &["2026-02-27", "2026-02-28"]);
        check(now, "2026-02-20T00:00:00Z", &[]);
    }

    #[test]
    fn a_category_is_counted_once_however_many_it_is_a_part_of() {
        let day = "2026-11-21".parse().unwrap();
        let record = |category: &str, usage| Record {
            day,
            category: category.to_owned(),
            usage: MicroUnits::of_units(usage),
        };
        let listed = [
            record("calls", 7),
            record("calls-inbound", 5),
            record("calls-inbound-local", 3),
            record("calls-inbound-tollfree", 2),
            record("calls-outbound", 2),
            record("calls-recordings", 99),
            record("sms", 4),
            record("sms-inbound", 1),
            record("sms-inbound-longcode", 1),
            record("sms-outbound", 3),
            record("sms-outbound-longcode", 3),
            record("sms-messages-carrierfees", 4),
            record("totalprice", 1000),
        ];
        let expected = Came {
            minutes: MicroUnits::of_units(7),
            segments: MicroUnits::of_units(4),
        };
        assert_eq!(theirs(&listed), BTreeMap::from([(day, expected)]));
    }

    #[test]
    fn only_a_whole_unit_is_a_difference() {
        let came = |minutes: i64, segments: i64| Came {
            minutes: MicroUnits(minutes),
            segments: MicroUnits(segments),
        };
        let one = 1_000_000;
        for (ours, theirs, expected) in [
            (came(0, 0), came(0, 0), false),
            (came(5 * one, one), came(5 * one, one), false),
            (came(5 * one, 0), came(5 * one + 999_999, 0), false),
            (came(5 * one, 0), came(6 * one, 0), true),
            (came(6 * one, 0), came(5 * one, 0), true),
            (came(0, one), came(0, 0), true),
        ] {
            let found = differ(ours, theirs, MicroUnits::ZERO);
            assert_eq!(found, expected, "{ours:?} {theirs:?}");
        }
        let over_midnight = MicroUnits::of_units(3);
        assert!(!differ(came(5 * one, 0), came(8 * one, 0), over_midnight));
        assert!(differ(came(5 * one, 0), came(9 * one, 0), over_midnight));
        assert!(differ(came(0, one), came(0, 0), over_midnight));
    }
}
