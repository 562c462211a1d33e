//! Every recurring job in one table, and which of its ticks are due between two instants.
//!
//! All expressions are UTC, seconds first: a local time would skip or repeat a tick twice a year.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use cron::Schedule;

use crate::{
    CheckBilling, CloseDuePeriods, CloseUsageWindows, CompareUsageRecords, NewJob,
    PollInvoiceDrafts, PollStripeEvents, PruneHistory, ReconcileInvoices, ReconcilePhoneLogs,
    RecountUsage, SweepCharges, SweepExpiredLeases, SweepProviderResources, SweepRecordings,
};

/// What becomes of ticks nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Each is made up, in order.
    All,
    /// The last one stands for all of them.
    Latest,
    /// Gone: only a tick that is at most a minute late still counts.
    Skip,
}

/// One recurring job.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Stored with its ticks; never renamed.
    pub name: &'static str,
    /// Seconds, minutes, hours, days of month, months, days of week; UTC.
    pub schedule: &'static str,
    pub missed: Missed,
    pub job: fn(DateTime<Utc>) -> NewJob,
}

pub const TIMETABLE: &[Entry] = &[
    // Every worker process sweeps twice a second by itself; this is for the hour when none does.
    Entry {
        name: "sweep_expired_leases",
        schedule: "0 * * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&SweepExpiredLeases { tick_at }),
    },
    Entry {
        name: "prune_history",
        schedule: "0 17 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&PruneHistory { tick_at }),
    },
    // A renewal's draft stays open for an hour.
    Entry {
        name: "close_due_periods",
        schedule: "15 */5 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&CloseDuePeriods { tick_at }),
    },
    Entry {
        name: "sweep_charges",
        schedule: "45 */15 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&SweepCharges { tick_at }),
    },
    Entry {
        name: "poll_invoice_drafts",
        schedule: "20 7/15 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&PollInvoiceDrafts { tick_at }),
    },
    Entry {
        name: "reconcile_invoices",
        schedule: "40 53 2/6 * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&ReconcileInvoices { tick_at }),
    },
    Entry {
        name: "check_billing",
        schedule: "50 37 * * * *",
        missed: Missed::Latest,
        job: |tick_at| {
            let is_full = false;
            NewJob::of(&CheckBilling { tick_at, is_full })
        },
    },
    Entry {
        name: "check_billing_fully",
        schedule: "10 9 4 * * *",
        missed: Missed::Latest,
        job: |tick_at| {
            let is_full = true;
            NewJob::of(&CheckBilling { tick_at, is_full })
        },
    },
    // Days end at every hour somewhere.
    Entry {
        name: "close_usage_windows",
        schedule: "0 12 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&CloseUsageWindows { tick_at }),
    },
    Entry {
        name: "recount_usage",
        schedule: "0 23 3 * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&RecountUsage { tick_at }),
    },
    Entry {
        name: "poll_stripe_events",
        schedule: "30 */10 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&PollStripeEvents { tick_at }),
    },
    // Callbacks that were lost come no more by themselves.
    Entry {
        name: "reconcile_phone_logs",
        schedule: "35 29 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&ReconcilePhoneLogs { tick_at }),
    },
    // Some hours after the day that it is about.
    Entry {
        name: "compare_usage_records",
        schedule: "25 47 6 * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&CompareUsageRecords { tick_at }),
    },
    Entry {
        name: "sweep_provider_resources",
        schedule: "0 41 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&SweepProviderResources { tick_at }),
    },
    // Speech and analysis may be configured long after the first recording.
    Entry {
        name: "sweep_recordings",
        schedule: "25 4/10 * * * *",
        missed: Missed::Latest,
        job: |tick_at| NewJob::of(&SweepRecordings { tick_at }),
    },
];

/// Whether an entry has a tick at this very instant.
pub fn is_tick(entry: &Entry, at: DateTime<Utc>) -> bool {
    let schedule = Schedule::from_str(entry.schedule)
        .expect("every schedule of the table parses: a test says so");
    schedule.includes(at)
}

/// The ticks to store, and until when the timetable has been looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    pub ticks: Vec<DateTime<Utc>>,
    pub seen_until: DateTime<Utc>,
}

/// At most so many ticks are made up in one look; the next look takes the rest.
const TICKS_MAX: usize = 500;
const LATE_MAX: TimeDelta = TimeDelta::minutes(1);

/// Which ticks of `entry` lie in `(last, now]`, by its policy.
pub fn due(entry: &Entry, last: DateTime<Utc>, now: DateTime<Utc>) -> Due {
    let schedule = Schedule::from_str(entry.schedule)
        .expect("every schedule of the table parses: a test says so");
    if now <= last {
        return Due {
            ticks: Vec::new(),
            seen_until: last,
        };
    }
    match entry.missed {
        Missed::All => {
            let ticks: Vec<_> = schedule
                .after(&last)
                .take_while(|tick| *tick <= now)
                .take(TICKS_MAX)
                .collect();
            // A full batch may not be everything: go on behind its last tick.
            let seen_until = if ticks.len() == TICKS_MAX {
                ticks[TICKS_MAX - 1]
            } else {
                now
            };
            Due { ticks, seen_until }
        }
        Missed::Latest | Missed::Skip => {
            // `after(now)` excludes now itself, which counts as past here.
            let just_after = now + TimeDelta::seconds(1);
            let latest = schedule.after(&just_after).rev().find(|tick| *tick <= now);
            let is_wanted = |tick: &DateTime<Utc>| {
                *tick > last && (entry.missed == Missed::Latest || now - *tick <= LATE_MAX)
            };
            Due {
                ticks: latest.into_iter().filter(is_wanted).collect(),
                seen_until: now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn check(missed: Missed, last: &str, now: &str, ticks: &[&str]) {
        let entry = Entry {
            name: "test",
            schedule: "0 */10 * * * *",
            missed,
            job: TIMETABLE[0].job,
        };
        let due = due(&entry, at(last), at(now));
        assert_eq!(
            due.ticks,
            ticks.iter().map(|tick| at(tick)).collect::<Vec<_>>(),
            "{missed:?}"
        );
    }

    #[test]
    fn every_schedule_parses_and_every_name_is_its_own() {
        let mut names: Vec<_> = TIMETABLE.iter().map(|entry| entry.name).collect();
        for entry in TIMETABLE {
            assert!(Schedule::from_str(entry.schedule).is_ok(), "{}", entry.name);
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TIMETABLE.len());
    }

    #[test]
    fn missed_ticks_are_made_up_by_the_policy() {
        let (last, now) = ("2026-11-20T10:00:00Z", "2026-11-20T10:35:00Z");
        check(
            Missed::All,
            last,
            now,
            &[
                "2026-11-20T10:10:00Z",
                "2026-11-20T10:20:00Z",
                "2026-11-20T10:30:00Z",
            ],
        );
        check(Missed::Latest, last, now, &["2026-11-20T10:30:00Z"]);
        check(Missed::Skip, last, now, &[]);
    }

    #[test]
    fn a_tick_of_this_very_second_is_due_and_the_last_one_is_not_due_again() {
        for missed in [Missed::All, Missed::Latest, Missed::Skip] {
            check(
                missed,
                "2026-11-20T10:05:00Z",
                "2026-11-20T10:10:00Z",
                &["2026-11-20T10:10:00Z"],
            );
            check(missed, "2026-11-20T10:10:00Z", "2026-11-20T10:10:30Z", &[]);
            check(missed, "2026-11-20T10:10:00Z", "2026-11-20T10:09:00Z", &[]);
        }
    }

    #[test]
    fn a_long_gap_is_made_up_in_batches_without_losing_a_tick() {
        let entry = Entry {
            name: "test",
            schedule: "* * * * * *",
            missed: Missed::All,
            job: TIMETABLE[0].job,
        };
        let (mut last, now) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T11:00:00Z"));
        let mut ticks = Vec::new();
        while last < now {
            let due = due(&entry, last, now);
            last = due.seen_until;
            ticks.extend(due.ticks);
        }
        ticks.dedup();
        assert_eq!(ticks.len(), 3600);
    }

    proptest! {
        #[test]
        fn looking_often_or_seldom_finds_the_same_ticks(looks in proptest::collection::vec(1i64..4000, 1..20)) {
            let entry = Entry { name: "test", schedule: "30 */7 * * * *", missed: Missed::All, job: TIMETABLE[0].job };
            let start = at("2026-11-20T10:00:00Z");
            let end = start + TimeDelta::seconds(looks.iter().sum());
            let (mut last, mut now, mut found) = (start, start, Vec::new());
            for look in looks {
                now += TimeDelta::seconds(look);
                let due = due(&entry, last, now);
                found.extend(due.ticks);
                last = due.seen_until;
            }
            prop_assert_eq!(found, due(&entry, start, end).ticks);
        }
    }
}
