//! Make the days ahead and drop the days nobody asks about any more.
//!
//! Enqueued by the timetable. Safe to run twice: what is gone is gone. It never touches a live job.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneHistory {
    pub tick_at: DateTime<Utc>,
}

impl Job for PruneHistory {
    const KIND: &'static str = "prune_history";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}

/// How long finished jobs and their runs are kept.
const FINISHED_KEPT: Days = Days::new(14);
/// How long dead jobs, ticks, raw webhooks and notifications are kept: Stripe may resend for 30 days, and a
/// dispute over one is argued for longer.
const DEAD_KEPT: TimeDelta = TimeDelta::days(90);

/// How long usage is kept: two years, and a month for who asks about the last one.
const USAGE_KEPT: Months = Months::new(25);

/// From when on things are kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Keep {
    pub finished_from: NaiveDate,
    pub dead_from: DateTime<Utc>,
    /// The first of a month.
    pub usage_from: NaiveDate,
}

pub fn keep(now: DateTime<Utc>) -> Keep {
    Keep {
        finished_from: now.date_naive() - FINISHED_KEPT,
        dead_from: now - DEAD_KEPT,
        usage_from: (now.date_naive() - USAGE_KEPT)
            .with_day(1)
            .unwrap_or_default(),
    }
}

/// Since when all usage is there.
pub fn usage_kept_from(now: DateTime<Utc>) -> DateTime<Utc> {
    keep(now).usage_from.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weeks_of_history_a_quarter_of_dead_jobs_and_two_years_of_usage_are_kept() {
        let keep = keep("2026-11-20T10:00:00Z".parse().unwrap());
        assert_eq!(keep.finished_from, "2026-11-06".parse().unwrap());
        assert_eq!(
            keep.dead_from,
            "2026-08-22T10:00:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert_eq!(keep.usage_from, "2024-10-01".parse().unwrap());
    }
}
