//! `/api/phone/usage/*`: what was called and written, what the provider takes for it, and what the user pays.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{Datelike, Days, NaiveDate, NaiveTime};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json, types::Any};
use serde_json::Value;
use tollkeeper_jobs::{
    money::{major_text, round_half_up},
    telephony::costs::{self, Cost, Kind, ListPrices, Total},
    usage::{MicroUnits, Span},
};

use super::{
    Shared, Tag,
    billing::usage::{SMS, VOICE},
    envelope::{Envelope, EnvelopedProblem, Refused},
    phone_log::{self, Asked},
};
use crate::{
    billing,
    db::phone_usage::{self, One},
    http::{
        auth::{AccountId, Caller},
        problem::{Problem, timestamp},
    },
};

pub struct PhoneUsage(pub(super) Arc<Shared>);

const DAYS_MAX: i64 = 366;

/// Costs are the provider's and in US dollars; a price is what the user's plan charges.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct UsageSummary {
    user_id: String,
    start_date: String,
    /// Not included.
    end_date: String,
    /// That somebody took; each leg of a forwarded call is one.
    total_calls: u64,
    /// Each begun minute of each call.
    total_minutes: Any<Value>,
    total_sms: u64,
    total_mms: u64,
    /// What the provider takes.
    total_cost: Any<Value>,
    /// Some of the cost is by the provider's list: it has not said yet what it takes.
    is_estimated: bool,
    /// What the days add to the user's bills: nothing while it is included in the plan. Fees for numbers are no part of it.
    total_price: Any<Value>,
    /// ISO 4217, of the price.
    price_currency: String,
    /// The price by meter: `voice_minutes` and `sms`.
    price_by_meter: BTreeMap<String, Any<Value>>,
    /// `call_minutes`, `sms_sent`, `sms_received`, `mms_sent` and `mms_received`; without what there was none of.
    by_type: BTreeMap<String, TypeSummary>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct TypeSummary {
    /// Calls or messages.
    count: u64,
    /// Minutes or segments, as they are billed.
    quantity: Any<Value>,
    /// What the provider takes.
    cost: Any<Value>,
    is_estimated: bool,
    /// Of calls, in seconds.
    duration: Option<u64>,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct UsageDetails {
    /// Always true.
    success: bool,
    /// The newest first.
    data: Vec<UsageRecord>,
    meta: UsagePage,
    message: String,
    timestamp: String,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct UsagePage {
    /// Sent back as `cursor`, it asks for the next ones. Absent: there are no more.
    next_cursor: Option<String>,
}

/// One call or message.
#[derive(Debug, Object)]
struct UsageRecord {
    /// `CA…`, `SM…` or `MM…`
    id: String,
    user_id: String,
    /// call_minutes, sms_sent, sms_received, mms_sent or mms_received.
    #[oai(rename = "type")]
    kind: String,
    /// Minutes or segments, as they are billed.
    quantity: Any<Value>,
    /// What the provider takes for one, in US dollars.
    unit_cost: Any<Value>,
    /// And for all of it.
    total_cost: Any<Value>,
    /// By the provider's list: it has not said yet what it takes.
    is_estimated: bool,
    /// The first day of its month, UTC.
    billing_period: String,
    created_at: String,
}

#[OpenApi(prefix_path = "/phone", tag = "Tag::Telephony")]
impl PhoneUsage {
    /// What a user called and wrote, and what it costs
    ///
    /// Of whole days in UTC, a year at most. A call counts on the day it ended.
    #[oai(
        path = "/usage/summary",
        method = "get",
        operation_id = "phoneUsageSummary"
    )]
    async fn summary(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// The same, as older clients name them.
        #[oai(name = "clientId")]
        client_id: Query<Option<String>>,
        /// The first of this month when left out.
        #[oai(name = "startDate")]
        start_date: Query<Option<String>>,
        /// Not included; tomorrow when left out.
        #[oai(name = "endDate")]
        end_date: Query<Option<String>>,
    ) -> Result<Json<Envelope<UsageSummary>>, Refused<EnvelopedProblem>> {
        let account = account(&caller, &user_id, &client_id)?;
        let now = self.0.clock.now();
        let days = WholeDays::read(&start_date, &end_date, now.date_naive())?;
        let mut tx = self.0.begin(&account).await?;
        let rows = phone_usage::alike(&mut tx, account.as_str(), days.span()).await?;
        let meters = [VOICE, SMS];
        let catalogue = &self.0.catalogue;
        let span = days.span();
        let prices =
            billing::added(&mut tx, catalogue, account.as_str(), span, &meters, now).await?;
        drop(tx);
        let used: Vec<_> = rows.into_iter().map(Into::into).collect();
        let totals = costs::totals(&used, &catalogue.list_prices);
        let summary = summary(&account, &days, &totals, &prices, &catalogue.currency);
        Ok(Envelope::new(summary, "Usage summary retrieved", now))
    }

    /// Each call and message that was counted, the newest first
    ///
    /// Of whole days in UTC, a year at most.
    #[oai(
        path = "/usage/details",
        method = "get",
        operation_id = "phoneUsageDetails"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a parameter of the query"
    )]
    async fn details(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// The same, as older clients name them.
        #[oai(name = "clientId")]
        client_id: Query<Option<String>>,
        /// The first of this month when left out.
        #[oai(name = "startDate")]
        start_date: Query<Option<String>>,
        /// Not included; tomorrow when left out.
        #[oai(name = "endDate")]
        end_date: Query<Option<String>>,
        /// call_minutes, sms_sent, sms_received, mms_sent or mms_received; all when left out.
        #[oai(name = "type")]
        kind: Query<Option<String>>,
        /// 50 when left out, 1000 at most.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the answer before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<UsageDetails>, Refused<EnvelopedProblem>> {
        let account = account(&caller, &user_id, &client_id)?;
        let now = self.0.clock.now();
        let span = WholeDays::read(&start_date, &end_date, now.date_naive())?.span();
        let kind = kind.as_deref().map(read_kind).transpose()?;
        let page = Asked::read(None, *limit, cursor.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let mut rows =
            phone_usage::list(&mut tx, account.as_str(), span, kind, &page.rows()).await?;
        drop(tx);
        let next_cursor = page.next(&mut rows, |row| (row.occurred_at, &row.source_id));
        let prices = &self.0.catalogue.list_prices;
        let records = rows.iter().map(|row| record(&account, row, prices));
        Ok(Json(UsageDetails {
            success: true,
            data: records.collect::<Result<_, Problem>>()?,
            meta: UsagePage { next_cursor },
            message: "Usage details retrieved".to_owned(),
            timestamp: timestamp(now),
        }))
    }
}

/// Whom it is about, by either name; two different ones are refused before.
fn account(
    caller: &Caller,
    user_id: &Option<String>,
    client_id: &Option<String>,
) -> Result<AccountId, Problem> {
    let named = user_id.as_deref().or(client_id.as_deref());
    phone_log::account(caller, named)
}

fn read_kind(text: &str) -> Result<Kind, Problem> {
    Kind::of(text).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        Problem::bad_request("INVALID_TYPE", format!("type is one of {known}"))
    })
}

/// Days, the first and the one behind the last.
#[derive(Debug, PartialEq, Eq)]
struct WholeDays {
    from: NaiveDate,
    until: NaiveDate,
}

impl WholeDays {
    fn read(
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

    fn span(&self) -> Span {
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

fn summary(
    account: &AccountId,
    days: &WholeDays,
    totals: &BTreeMap<Kind, Total>,
    prices: &BTreeMap<String, i64>,
    currency: &str,
) -> UsageSummary {
    let of = |wanted: fn(Kind) -> bool| totals.iter().filter(move |(kind, _)| wanted(**kind));
    let count = |wanted: fn(Kind) -> bool| of(wanted).map(|(_, total)| total.count).sum();
    let minutes = of(Kind::is_call).map(|(_, total)| total.quantity).sum();
    let cost = totals.values().map(|total| total.cost.micros).sum();
    let by_type = totals.iter().map(|(kind, total)| {
        let shown = TypeSummary {
            count: total.count,
            quantity: Any(total.quantity.to_json()),
            cost: dollars(total.cost.micros),
            is_estimated: total.cost.is_estimated,
            duration: kind.is_call().then_some(total.seconds),
        };
        (kind.as_str().to_owned(), shown)
    });
    let price = |minor: i64| Any(major_number(minor, currency));
    UsageSummary {
        user_id: account.as_str().to_owned(),
        start_date: days.from.to_string(),
        end_date: days.until.to_string(),
        total_calls: count(Kind::is_call),
        total_minutes: Any(MicroUnits::to_json(minutes)),
        total_sms: count(|kind| !kind.is_call() && !kind.has_media()),
        total_mms: count(Kind::has_media),
        total_cost: dollars(cost),
        is_estimated: totals.values().any(|total| total.cost.is_estimated),
        total_price: price(prices.values().sum()),
        price_currency: currency.to_ascii_uppercase(),
        price_by_meter: prices
            .iter()
            .map(|(meter, minor)| (meter.clone(), price(*minor)))
            .collect(),
        by_type: by_type.collect(),
    }
}

fn record(account: &AccountId, row: &One, prices: &ListPrices) -> Result<UsageRecord, Problem> {
    let used = row.used();
    let Cost {
        micros,
        is_estimated,
    } = used.cost(prices);
    let month = row.occurred_at.date_naive();
    let unit = round_half_up(
        i128::from(micros) * 1_000_000,
        i128::from(used.quantity.0.max(1)),
    )?;
    Ok(UsageRecord {
        id: row.source_id.clone(),
        user_id: account.as_str().to_owned(),
        kind: used.kind().as_str().to_owned(),
        quantity: Any(used.quantity.to_json()),
        unit_cost: dollars(unit),
        total_cost: dollars(micros),
        is_estimated,
        billing_period: month.with_day(1).unwrap_or(month).to_string(),
        created_at: timestamp(row.occurred_at),
    })
}

/// Millionths as a number.
fn dollars(micros: i64) -> Any<Value> {
    Any(MicroUnits(micros).to_json())
}

/// An amount in the major unit as a number, from its own decimals.
fn major_number(minor: i64, currency: &str) -> Value {
    serde_json::from_str(&major_text(minor, currency)).unwrap_or_default()
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
