use proptest::prelude::*;

use super::*;

const TICK: TimeDelta = TimeDelta::microseconds(1);

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn span(starts_at: &str, ends_at: &str) -> Span {
    Span {
        starts_at: at(starts_at),
        ends_at: at(ends_at),
    }
}

fn calendar(zone: Tz, cycle: Option<Cycle>) -> Calendar {
    Calendar { zone, cycle }
}

/// A microsecond before a window's end is in it, its end is in the next one.
fn check_edges(calendar: &Calendar, window: Window, span: Span) {
    assert!(span.starts_at < span.ends_at, "{span:?}");
    for inside in [span.starts_at, span.ends_at - TICK] {
        assert_eq!(calendar.span(window, inside), span, "{inside}");
    }
    let before = calendar.span(window, span.starts_at - TICK);
    let after = calendar.span(window, span.ends_at);
    assert_eq!(before.ends_at, span.starts_at, "{before:?} {span:?}");
    assert_eq!(after.starts_at, span.ends_at, "{span:?} {after:?}");
}

#[test]
fn days_begin_where_the_account_is_over_both_clock_changes() {
    // Zone, a date, and how many hours that day has.
    for (zone, date, hours) in [
        (Tz::America__New_York, "2026-03-08", 23),
        (Tz::America__New_York, "2026-11-01", 25),
        (Tz::Europe__Berlin, "2026-03-29", 23),
        (Tz::Europe__Berlin, "2026-10-25", 25),
        (Tz::Australia__Sydney, "2026-10-04", 23),
        (Tz::Australia__Sydney, "2026-04-05", 25),
        // Clocks go forward at midnight: that day begins at one o'clock.
        (Tz::America__Santiago, "2026-09-06", 23),
        (Tz::America__Santiago, "2026-04-04", 25),
        // No clock changes, and half an hour beside the others.
        (Tz::Asia__Kolkata, "2026-03-29", 24),
        (Tz::UTC, "2028-02-29", 24),
    ] {
        let calendar = calendar(zone, None);
        let date: NaiveDate = date.parse().unwrap();
        let begin = begin_of(date, zone);

        let (found, day) = calendar.day(begin);

        assert_eq!(found, date, "{zone}");
        assert_eq!(
            (day.ends_at - day.starts_at).num_hours(),
            hours,
            "{zone} {date}"
        );
        check_edges(&calendar, Window::Day, day);
        assert_eq!(calendar.day(begin - TICK).0, date - Days::new(1), "{zone}");
        assert_eq!(calendar.day(day.ends_at).0, date + Days::new(1), "{zone}");
    }
}

#[test]
fn a_month_is_of_utc_and_knows_leap_years() {
    let calendar = calendar(Tz::Pacific__Auckland, None);
    for window in [Window::Month, Window::Cycle] {
        let february = span("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        assert_eq!(
            calendar.span(window, at("2028-02-29T23:59:59.999999Z")),
            february
        );
        check_edges(&calendar, window, february);
    }
}

/// Anchors 29 to 31 over 48 months, whatever of them Stripe said last: each month is one window.
#[test]
fn months_are_counted_from_the_anchor_without_gap_or_overlap() {
    for day in 1..=31 {
        for year in [2023, 2024] {
            let Some(anchor) = NaiveDate::from_ymd_opt(year, 1, day) else {
                continue;
            };
            let anchor = anchor.and_hms_opt(13, 30, 1).unwrap().and_utc();
            for nth in 0..48 {
                let current = Span {
                    starts_at: nth_month(anchor, nth),
                    ends_at: nth_month(anchor, nth + 1),
                };
                for known in [Some(anchor), None] {
                    let cycle = Cycle {
                        began_at: anchor,
                        current,
                        anchor_at: known,
                    };
                    let calendar = calendar(Tz::UTC, Some(cycle));
                    assert_eq!(calendar.span(Window::Cycle, current.starts_at), current);
                    check_edges(&calendar, Window::Cycle, current);
                    // The next period is right before Stripe has said so.
                    let next = calendar.span(Window::Cycle, current.ends_at);
                    assert_eq!(next.ends_at, nth_month(anchor, nth + 2), "{anchor} {nth}");
                }
            }
        }
    }
}

#[test]
fn a_year_is_counted_in_months() {
    let cycle = Cycle {
        began_at: at("2027-08-31T10:00:00Z"),
        current: span("2027-08-31T10:00:00Z", "2028-08-31T10:00:00Z"),
        anchor_at: Some(at("2027-08-31T10:00:00Z")),
    };
    let calendar = calendar(Tz::UTC, Some(cycle));
    let found = calendar.span(Window::Cycle, at("2028-03-01T00:00:00Z"));
    assert_eq!(found, span("2028-02-29T10:00:00Z", "2028-03-31T10:00:00Z"));
}

#[test]
fn a_trial_is_a_window_and_what_was_before_keeps_its_own() {
    let cycle = Cycle {
        began_at: at("2026-11-10T00:00:00Z"),
        current: span("2026-11-10T00:00:00Z", "2026-11-24T00:00:00Z"),
        anchor_at: Some(at("2026-11-24T00:00:00Z")),
    };
    let calendar = calendar(Tz::UTC, Some(cycle));
    for (instant, expected) in [
        (
            "2026-11-09T23:59:59Z",
            span("2026-11-01T00:00:00Z", "2026-11-10T00:00:00Z"),
        ),
        (
            "2026-11-10T00:00:00Z",
            span("2026-11-10T00:00:00Z", "2026-11-24T00:00:00Z"),
        ),
        (
            "2026-11-24T00:00:00Z",
            span("2026-11-24T00:00:00Z", "2026-12-24T00:00:00Z"),
        ),
    ] {
        assert_eq!(
            calendar.span(Window::Cycle, at(instant)),
            expected,
            "{instant}"
        );
    }
}

const ZONES: [Tz; 6] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::Europe__Berlin,
    Tz::America__Santiago,
    Tz::Asia__Kolkata,
    Tz::Pacific__Apia,
];

proptest! {
    /// Whatever Stripe says of periods and anchors: windows tile time.
    #[test]
    fn every_instant_lies_in_one_window(
        seconds in 1_700_000_000i64..1_900_000_000,
        began in 1_700_000_000i64..1_850_000_000,
        starts_after in 0i64..40_000_000,
        length in 1i64..40_000_000,
        anchor in proptest::option::of(1_700_000_000i64..1_900_000_000),
        zone in proptest::sample::select(ZONES.to_vec()),
    ) {
        let instant = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let starts = began + starts_after;
        let cycle = Cycle {
            began_at: instant(began),
            current: Span { starts_at: instant(starts), ends_at: instant(starts + length) },
            anchor_at: anchor.map(instant),
        };
        for cycle in [Some(cycle), None] {
            let calendar = calendar(zone, cycle);
            for window in [Window::Day, Window::Month, Window::Cycle] {
                let span = calendar.span(window, instant(seconds));
                prop_assert!(span.contains(instant(seconds)));
                check_edges(&calendar, window, span);
            }
        }
    }
}
