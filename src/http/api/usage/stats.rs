//! `GET /api/subscription/usage-stats`.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use poem_openapi::{Object, types::Any};
use serde_json::Value;
use tollkeeper_jobs::usage::{Calendar, MicroUnits};

use super::{Answer, READ, Shared, Who};
use crate::{
    db::usage::counters::{self, Day},
    http::{
        auth::Caller,
        problem::{Problem, timestamp},
    },
    usage::Account,
};

const DAYS_MAX: i64 = 400;

/// A period as a request names it.
pub struct Period {
    pub name: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Stats {
    period: String,
    start_date: String,
    /// Not included.
    end_date: String,
    /// The plan that is in effect now.
    tier: String,
    /// By feature.
    aggregated: BTreeMap<String, Aggregate>,
    /// By day where the user is, then by feature.
    daily: BTreeMap<String, BTreeMap<String, Any<Value>>>,
    /// How many uses were reported.
    total_records: i64,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct Aggregate {
    total: Any<Value>,
    /// How many uses were reported, without those taken back.
    count: i64,
    last_used: Option<String>,
}

/// Days, the first and the one behind the last.
struct WholeDays {
    name: String,
    from: NaiveDate,
    until: NaiveDate,
}

impl Period {
    /// Which days these are, seen from `today`.
    fn days(&self, today: NaiveDate) -> Result<WholeDays, Problem> {
        let tomorrow = today + Days::new(1);
        let first = today.with_day(1).unwrap_or(today);
        if self.from.is_some() || self.to.is_some() {
            return self.own_days(today);
        }
        let name = self.name.as_deref().unwrap_or("current_month");
        let (from, until) = match name {
            "last_month" => (first - Months::new(1), first),
            "last_30_days" => (tomorrow - Days::new(30), tomorrow),
            _ => (first, tomorrow),
        };
        Ok(WholeDays {
            name: name.chars().take(64).collect(),
            from,
            until,
        })
    }

    fn own_days(&self, today: NaiveDate) -> Result<WholeDays, Problem> {
        let invalid = || {
            Problem::bad_request(
                "INVALID_PERIOD",
                format!("from and to are days (2026-11-01), in order, at most {DAYS_MAX} apart"),
            )
        };
        let day = |text: &Option<String>| {
            text.as_deref()
                .map(|text| text.parse::<NaiveDate>().map_err(|_| invalid()))
                .transpose()
        };
        let from = day(&self.from)?.ok_or_else(invalid)?;
        let last = day(&self.to)?.unwrap_or(today);
        let is_fit = (0..DAYS_MAX).contains(&(last - from).num_days()) && from.year() > 2000;
        let until = last.succ_opt().filter(|_| is_fit).ok_or_else(invalid)?;
        Ok(WholeDays {
            name: "custom".to_owned(),
            from,
            until,
        })
    }
}

pub async fn usage_stats(
    shared: &Shared,
    caller: &Caller,
    who: &Who,
    period: &Period,
) -> Answer<Stats> {
    let account = shared.account(caller, READ, who).await?;
    let mut conn = shared.pool.acquire().await?;
    let mut known = Account::load(&mut conn, [account.as_str()]).await?;
    let known = known.remove(account.as_str()).unwrap_or_default();
    let calendar: Calendar = known.calendar(None);
    let (today, _) = calendar.day(shared.clock.now());
    let days = period.days(today)?;
    let (from, until) = (calendar.begin_of(days.from), calendar.begin_of(days.until));
    let rows = counters::days(&mut conn, account.as_str(), from, until).await?;
    drop(conn);

    let tier = shared.rules.entitlement(&known).tier.id.clone();
    let stats = Stats {
        period: days.name,
        start_date: timestamp(from),
        end_date: timestamp(until),
        tier,
        aggregated: aggregated(&rows),
        total_records: rows.iter().map(|row| row.events).sum(),
        daily: daily(rows),
    };
    shared.answer(stats, "Usage statistics retrieved")
}

fn aggregated(rows: &[Day]) -> BTreeMap<String, Aggregate> {
    let mut all = BTreeMap::<&str, (MicroUnits, i64, Option<DateTime<Utc>>)>::new();
    for row in rows {
        let (total, count, last) = all.entry(&row.feature).or_default();
        *total = *total + MicroUnits(row.quantity);
        *count += row.events;
        *last = (*last).max(row.last_used_at);
    }
    all.into_iter()
        .map(|(feature, (total, count, last))| {
            let aggregate = Aggregate {
                total: Any(total.to_json()),
                count,
                last_used: last.map(timestamp),
            };
            (feature.to_owned(), aggregate)
        })
        .collect()
}

fn daily(rows: Vec<Day>) -> BTreeMap<String, BTreeMap<String, Any<Value>>> {
    let mut days = BTreeMap::<String, BTreeMap<String, Any<Value>>>::new();
    for row in rows {
        let total = Any(MicroUnits(row.quantity).to_json());
        let day = days.entry(row.day.to_string()).or_default();
        day.insert(row.feature, total);
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        name: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
        expected: Option<(&str, &str)>,
    ) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let period = Period {
            name: owned(name),
            from: owned(from),
            to: owned(to),
        };
        let found = period.days("2026-03-31".parse().unwrap()).ok();
        let found = found.map(|days| (days.from.to_string(), days.until.to_string()));
        let expected = expected.map(|(from, until)| (from.to_owned(), until.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_period_is_whole_days() {
        let month = Some(("2026-03-01", "2026-04-01"));
        check(None, None, None, month);
        check(Some("current_month"), None, None, month);
        check(Some("whatever"), None, None, month);
        check(
            Some("last_month"),
            None,
            None,
            Some(("2026-02-01", "2026-03-01")),
        );
        check(
            Some("last_30_days"),
            None,
            None,
            Some(("2026-03-02", "2026-04-01")),
        );
        check(
            None,
            Some("2026-01-01"),
            Some("2026-01-01"),
            Some(("2026-01-01", "2026-01-02")),
        );
        check(
            None,
            Some("2026-03-30"),
            None,
            Some(("2026-03-30", "2026-04-01")),
        );
        for (from, to) in [
            (Some("2026-02-30"), None),
            (Some("2026-02-02"), Some("2026-02-01")),
            (Some("2020-01-01"), Some("2026-01-01")),
            (None, Some("2026-01-01")),
        ] {
            check(None, from, to, None);
        }
    }
}
