//! Which days a request is about.

use chrono::{Datelike, Days, NaiveDate, NaiveTime};
use tollkeeper_jobs::usage::Span;

use crate::http::problem::Problem;

const DAYS_MAX: i64 = 366;

/// Days in UTC, the first and the one behind the last.
#[derive(Debug, PartialEq, Eq)]
pub struct WholeDays {
    pub from: NaiveDate,
    /// Not included.
    pub until: NaiveDate,
}

impl WholeDays {
    /// As a request names them: this month's so far where it names none.
    pub fn read(
        from: &Option<String>,
        until: &Option<String>,
        today: NaiveDate,
    ) -> Result<WholeDays, Problem> {
        let day = |name: &str, text: &Option<String>, default: NaiveDate| match text.as_deref() {
            None | Some("") => Ok(default),
            Some(text) => text.parse().ok().filter(is_of_now).ok_or_else(|| {
                let message = format!("{name} is a day, as in 2026-11-01");
                Problem::bad_request("INVALID_DATE", message)
            }),
        };
        let from = day("startDate", from, today.with_day(1).unwrap_or(today))?;
        let until = day("endDate", until, today + Days::new(1))?;
        if !(1..=DAYS_MAX).contains(&(until - from).num_days()) {
            return Err(Problem::bad_request(
                "INVALID_DATE_RANGE",
                format!("endDate is the day behind the last: 1 to {DAYS_MAX} days after startDate"),
            ));
        }
        Ok(WholeDays { from, until })
    }

    pub fn span(&self) -> Span {
        let begin = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        Span {
            starts_at: begin(self.from),
            ends_at: begin(self.until),
        }
    }
}

/// Far from where days cannot be counted on.
fn is_of_now(day: &NaiveDate) -> bool {
    (2000..3000).contains(&day.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, until: &str, expected: Result<(&str, &str), &str>) {
        let given = |text: &str| (text != "-").then(|| text.to_owned());
        let today = "2026-11-22".parse().unwrap();
        let found = WholeDays::read(&given(from), &given(until), today);
        let found = found
            .map(|days| (days.from.to_string(), days.until.to_string()))
            .map_err(|problem| problem.code);
        let expected = expected.map(|(from, until)| (from.to_owned(), until.to_owned()));
        assert_eq!(found, expected, "{from} {until}");
    }

    #[test]
    fn days_are_half_open_and_a_year_at_most() {
        check("-", "-", Ok(("2026-11-01", "2026-11-23")));
        check("", "", Ok(("2026-11-01", "2026-11-23")));
        check("2026-11-05", "2026-11-06", Ok(("2026-11-05", "2026-11-06")));
        check("2026-01-01", "2027-01-01", Ok(("2026-01-01", "2027-01-01")));
        check("2026-11-05", "2026-11-05", Err("INVALID_DATE_RANGE"));
        check("2026-11-05", "2026-11-04", Err("INVALID_DATE_RANGE"));
        check("2024-01-01", "2025-01-02", Err("INVALID_DATE_RANGE"));
        check("2026-02-30", "-", Err("INVALID_DATE"));
        check("yesterday", "-", Err("INVALID_DATE"));
        check("-", "9999-12-31", Err("INVALID_DATE"));
        check("2026-11-05T00:00:00Z", "-", Err("INVALID_DATE"));
    }
}
