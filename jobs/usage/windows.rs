//! The windows in which usage is counted. They tile time: every instant lies in one window of each kind, and
//! where one ends the next begins. Nothing is ever reset, a new window is a new row.
//!
//! All bounds are instants of UTC; a time zone is only used to find them. Months are counted from the anchor,
//! never from the month before (31 Jan, 28 Feb, 31 Mar), as Stripe does.

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone,
    Utc,
};
use chrono_tz::Tz;

use crate::plans::Window;

/// One window, from its start up to but without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

impl Span {
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.starts_at <= at && at < self.ends_at
    }
}

/// A subscription's periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// When it was taken out: before that the account had none.
    pub began_at: DateTime<Utc>,
    /// The period that runs, as Stripe said last. A year is divided into months.
    pub current: Span,
    /// Where months are counted from. None: not known, and told from the period.
    pub anchor_at: Option<DateTime<Utc>>,
}

/// What an account's windows are found by.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    pub zone: Tz,
    /// None: the account has no subscription that counts; its cycles are the months of UTC.
    pub cycle: Option<Cycle>,
}

impl Calendar {
    /// The window of this kind that contains `at`.
    pub fn span(&self, window: Window, at: DateTime<Utc>) -> Span {
        match (window, &self.cycle) {
            (Window::Day, _) => self.day(at).1,
            (Window::Cycle, Some(cycle)) => cycle.span(at),
            (Window::Month | Window::Cycle, _) => month(at),
        }
    }

    /// The day at `at` where the account is. It begins with the first instant that bears its date, which is
    /// not midnight where clocks go forward at midnight.
    pub fn day(&self, at: DateTime<Utc>) -> (NaiveDate, Span) {
        let date = at.with_timezone(&self.zone).date_naive();
        let span = Span {
            starts_at: self.begin_of(date),
            ends_at: self.begin_of(date + Days::new(1)),
        };
        (date, span)
    }

    /// The first instant of a date where the account is.
    pub fn begin_of(&self, date: NaiveDate) -> DateTime<Utc> {
        begin_of(date, self.zone)
    }
}

/// The first instant of a date. Gaps in a zone's time end on the quarter of an hour, and none is longer than
/// a day (Samoa left out 30 December 2011).
fn begin_of(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = date.and_time(NaiveTime::MIN);
    for quarters in 0..=96 {
        let local = midnight + TimeDelta::minutes(15 * quarters);
        match zone.from_local_datetime(&local) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => {
                return at.with_timezone(&Utc);
            }
            MappedLocalTime::None => {}
        }
    }
    midnight.and_utc()
}

fn month(at: DateTime<Utc>) -> Span {
    let first = at.date_naive().with_day(1).unwrap_or_default();
    let begin = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    Span {
        starts_at: begin(first),
        ends_at: begin(first + Months::new(1)),
    }
}

impl Cycle {
    fn span(&self, at: DateTime<Utc>) -> Span {
        if at < self.began_at {
            let month = month(at);
            return Span {
                ends_at: month.ends_at.min(self.began_at),
                ..month
            };
        }
        let mut span = month_from(self.anchor_of(at), at);
        // A period is a period, wherever the months lie: after a trial, or when the anchor was moved.
        for bound in [self.began_at, self.current.starts_at, self.current.ends_at] {
            if bound <= at {
                span.starts_at = span.starts_at.max(bound);
            } else {
                span.ends_at = span.ends_at.min(bound);
            }
        }
        span
    }

    /// Where the months at an instant are counted from. A period that does not begin with one of the anchor's months
    /// (a trial was put on a running subscription, say) ended other months than those.
    fn anchor_of(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let begins_at = self.current.starts_at;
        let is_before =
            at < begins_at && month_from(self.anchor(), begins_at).starts_at != begins_at;
        if is_before { begins_at } else { self.anchor() }
    }

    /// Where no anchor is known, the bound with the later day of the month: of two months in a row one is
    /// long enough to show the day that is meant.
    fn anchor(&self) -> DateTime<Utc> {
        let Span { starts_at, ends_at } = self.current;
        self.anchor_at
            .unwrap_or(if ends_at.day() > starts_at.day() {
                ends_at
            } else {
                starts_at
            })
    }
}

/// The month counted from an anchor that contains an instant.
fn month_from(anchor: DateTime<Utc>, at: DateTime<Utc>) -> Span {
    let months_apart = |at: DateTime<Utc>| at.year() * 12 + at.month0() as i32;
    let mut nth = months_apart(at) - months_apart(anchor);
    if nth_month(anchor, nth) > at {
        nth -= 1;
    }
    Span {
        starts_at: nth_month(anchor, nth),
        ends_at: nth_month(anchor, nth + 1),
    }
}

/// The anchor and so many months, on the last day of a month that is too short for it.
fn nth_month(anchor: DateTime<Utc>, nth: i32) -> DateTime<Utc> {
    let months = Months::new(nth.unsigned_abs());
    let moved = match nth < 0 {
        true => anchor.checked_sub_months(months),
        false => anchor.checked_add_months(months),
    };
    moved.unwrap_or(anchor)
}

#[cfg(test)]
mod tests;
