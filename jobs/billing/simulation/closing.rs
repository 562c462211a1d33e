//! Periods and their rating: which there are, when one is over, and what it is charged.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    History, Stalled,
    book::{Charge, PeriodRow},
    faults::Fault,
    script::{catalogue, minutes},
    worker::Crashed,
    wrong,
};
use crate::{
    billing::{
        Revision, Used,
        periods::{self, Subscribed},
        rate, revise,
    },
    close_period,
    usage::Span,
};

const SETTLES_FOR: TimeDelta = TimeDelta::minutes(10);
/// When `invoice.upcoming` is sent, as many days before a period's end.
const UPCOMING_BEFORE: TimeDelta = TimeDelta::days(3);

impl History {
    pub fn plan_periods(&mut self) {
        let last = self.book.periods.last().map(|row| periods::Last {
            period: row.period.clone(),
            is_closed: row.is_closed,
        });
        let subscribed = [self.subscribed()];
        let mut plan = periods::plan(catalogue(), last.as_ref(), &subscribed, self.now);
        if let (Some(period), Some(row)) = (plan.last.as_mut(), self.book.periods.last_mut()) {
            if self.fault == Some(Fault::LastPlanForAll) {
                wrong::last_plan_for_all(period, &subscribed[0]);
            }
            row.period = period.clone();
            row.is_stale = true;
        }
        let rows = plan.following.into_iter().map(|period| PeriodRow {
            period,
            is_closed: false,
            is_stale: true,
        });
        self.book.periods.extend(rows);
    }

    /// The subscription as Stripe tells of it now.
    fn subscribed(&self) -> Subscribed {
        let script = &self.script;
        let ended_at = script.ended_at.filter(|at| *at <= self.now);
        let at = ended_at.unwrap_or(self.now);
        let next = script.bounds.partition_point(|bound| *bound <= at);
        let period = Span {
            starts_at: script.bounds[next - 1],
            ends_at: script.bounds[next],
        };
        Subscribed {
            subscription_ref: "sub_1".to_owned(),
            customer_ref: "cus_1".to_owned(),
            tier: Some(script.tier_at(self.now).to_owned()),
            began_at: script.began_at,
            ended_at,
            trial_put_on_at: None,
            pause: None,
            period: Some(period),
            anchor_at: Some(script.began_at),
            told_at: self.now,
        }
    }

    /// Whether a period is still to settle.
    pub fn rate_periods(&mut self) -> Result<bool, Crashed> {
        let mut settles = false;
        for place in 0..self.book.periods.len() {
            let row = &self.book.periods[place];
            let is_over = row.period.span.ends_at <= self.now;
            let is_due = match row.is_closed {
                true => row.is_stale && !self.forgets_late_usage(),
                false => self.may_close(row.period.span.ends_at),
            };
            settles |= is_over && !row.is_closed && !is_due;
            if is_due {
                self.step()?;
                if !self.is_calm && self.dice.one_in(4) {
                    self.stall(place);
                }
                self.close(place);
            }
        }
        Ok(settles)
    }

    fn may_close(&self, ends_at: DateTime<Utc>) -> bool {
        if self.fault == Some(Fault::BilledWhenUpcoming) {
            return ends_at - UPCOMING_BEFORE <= self.now;
        }
        let facts = close_period::Facts {
            ends_at,
            has_unknown_price: false,
            // Every run asks Stripe first.
            synced_at: Some(self.now),
            settles_for: SETTLES_FOR,
        };
        close_period::decide(&facts, self.now) == close_period::Plan::Rate
    }

    fn forgets_late_usage(&self) -> bool {
        let forgetful = [
            Fault::LateUsageDropped,
            Fault::CountersResetOnPayment,
            Fault::BilledWhenUpcoming,
        ];
        self.fault.is_some_and(|fault| forgetful.contains(&fault))
    }

    /// Under the account's lock: read, decide and write are one.
    fn close(&mut self, place: usize) {
        let revisions = self.revisions(place);
        self.write(place, revisions);
    }

    fn write(&mut self, place: usize, revisions: Vec<Revision>) {
        let row = &mut self.book.periods[place];
        let is_late = row.is_closed;
        row.is_closed = true;
        row.is_stale = false;
        for revision in &revisions {
            let when = if is_late { "is late" } else { "is in time" };
            self.note(|| format!("{when}: {revision:?}"));
        }
        let charges = revisions.into_iter().map(|revision| Charge {
            period: place,
            revision,
            is_late,
            on: None,
        });
        self.book.charges.extend(charges);
    }

    fn revisions(&self, place: usize) -> Vec<Revision> {
        let row = &self.book.periods[place];
        let used = self.used(row.period.span);
        let rated = match self.fault {
            Some(Fault::RoundedPerEvent) => {
                wrong::rounded_per_event(&row.period, &self.book, used.numbers)
            }
            _ => rate(&row.period.terms, &used).expect("amounts of the simulation are small"),
        };
        let revised = rated.iter().filter_map(|rated| {
            let last = self.book.last(place, &rated.meter, &rated.subject);
            revise(last.as_ref(), rated)
        });
        revised.collect()
    }

    /// What was used in a period, as far as it is known.
    fn used(&self, span: Span) -> Used {
        let from = self.book.counted_from;
        let mut used = Used::default();
        for event in &self.book.usage[from..] {
            let counts = match self.fault {
                Some(Fault::CountersResetOnPayment) => true,
                _ => span.contains(event.occurred_at),
            };
            if counts {
                let sum = used.meters.entry(event.meter.to_owned()).or_default();
                *sum = *sum + event.quantity;
            }
        }
        used.numbers = self.script.numbers_in(span);
        used
    }

    /// A second worker has read what it needs, and loses its place.
    fn stall(&mut self, place: usize) {
        let revisions = self.revisions(place);
        let wakes_at = self.now + minutes(&mut self.dice, 60);
        self.stalled.push(Stalled {
            wakes_at,
            period: place,
            revisions,
        });
    }

    /// It takes the lock, and so reads anew; without one it writes what it knew.
    pub fn wake_stalled(&mut self) {
        let now = self.now;
        let (awake, asleep) = std::mem::take(&mut self.stalled)
            .into_iter()
            .partition(|one| one.wakes_at <= now);
        self.stalled = asleep;
        let awake: Vec<Stalled> = awake;
        for one in awake {
            match self.fault {
                Some(Fault::ClosedWithoutALock) => self.write(one.period, one.revisions),
                _ if !self.forgets_late_usage() => self.close(one.period),
                _ => {}
            }
        }
    }
}
