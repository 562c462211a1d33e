//! How usage is shown: costs are the provider's and in US dollars, a price is what the user's plan charges.

use std::collections::BTreeMap;

use chrono::Datelike;
use poem_openapi::{Object, types::Any};
use serde_json::Value;
use tollkeeper_jobs::{
    money::{major_text, round_half_up},
    telephony::costs::{Cost, Kind, ListPrices, Total},
    usage::MicroUnits,
};

use super::days::WholeDays;
use crate::{
    db::phone_usage::One,
    http::{
        auth::AccountId,
        problem::{Problem, timestamp},
    },
};

/// Costs are the provider's and in US dollars; a price is what the user's plan charges.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UsageSummary {
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

/// One call or message.
#[derive(Debug, Object)]
pub struct UsageRecord {
    /// A UUID.
    id: String,
    /// `CA…`, `SM…`, `MM…` or `voipms_…`, of what it was used for.
    sid: String,
    /// Of the user's own number.
    phone_number_id: Option<String>,
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
    metadata: Any<Value>,
    created_at: String,
}

/// Of these days, by kind what was used and by meter what it adds to the bill, in minor units.
pub fn summary(
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

/// One use.
pub fn record(account: &AccountId, row: &One, prices: &ListPrices) -> Result<UsageRecord, Problem> {
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
        id: row.event_id.to_string(),
        sid: row.source_id.clone(),
        phone_number_id: row.phone_number_id.map(|id| id.to_string()),
        user_id: account.as_str().to_owned(),
        kind: used.kind().as_str().to_owned(),
        quantity: Any(used.quantity.to_json()),
        unit_cost: dollars(unit),
        total_cost: dollars(micros),
        is_estimated,
        billing_period: month.with_day(1).unwrap_or(month).to_string(),
        metadata: Any(row.metadata.clone()),
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
