//! What should be charged, worked out from the script alone and by other means than the code: spans from the bounds,
//! plans from a table, and prices as fractions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::script::{METERS, NUMBER_ID, Script};
use crate::{billing::NUMBER, usage::Span};

const MICROS: i128 = 1_000_000;

/// Where a period begins, and what of it is charged.
pub type Item = (DateTime<Utc>, String);

impl Script {
    /// The periods that are paid for, up to `until`.
    pub fn spans(&self, until: DateTime<Utc>) -> Vec<Span> {
        let end = self.ended_at.unwrap_or(until).min(until);
        let mut spans = Vec::new();
        let mut starts_at = self.began_at;
        for ends_at in self.bounds[1..].iter().copied() {
            if starts_at >= end {
                break;
            }
            let ends_at = match self.ended_at {
                Some(ended_at) => ends_at.min(ended_at),
                None => ends_at,
            };
            spans.push(Span { starts_at, ends_at });
            starts_at = ends_at;
        }
        spans.retain(|span| span.ends_at <= until);
        spans
    }

    /// The numbers that were held in a period.
    pub fn numbers_in(&self, span: Span) -> Vec<String> {
        let (from, until) = self.number;
        let is_held = from < until && from < span.ends_at && until > span.starts_at;
        is_held.then(|| NUMBER_ID.to_owned()).into_iter().collect()
    }

    /// What every period that was over by then comes to, minor units. What comes to nothing is left out.
    pub fn comes_to(&self, until: DateTime<Utc>) -> BTreeMap<Item, i64> {
        let mut all = BTreeMap::new();
        for span in self.spans(until) {
            let plans = self.plans_held(span);
            for meter in METERS {
                let facts = self.facts.iter().filter(|fact| {
                    fact.meter == meter
                        && span.starts_at <= fact.occurred_at
                        && fact.occurred_at < span.ends_at
                });
                let used: i128 = facts.map(|fact| i128::from(fact.quantity.0)).sum();
                let amount = price(&plans, meter, used.max(0));
                all.insert((span.starts_at, meter.to_owned()), amount);
            }
            let last_fee = plans
                .iter()
                .rev()
                .map(|plan| fee(plan))
                .find(|fee| *fee > 0);
            if let (Some(fee), false) = (last_fee, self.numbers_in(span).is_empty()) {
                all.insert((span.starts_at, NUMBER.to_owned()), fee);
            }
        }
        all.retain(|_, amount| *amount != 0);
        all
    }

    /// In the order in which they were held.
    fn plans_held(&self, span: Span) -> Vec<&'static str> {
        let first = self.tier_at(span.starts_at);
        let later = self
            .tiers
            .iter()
            .filter(|(at, _)| span.starts_at < *at && *at < span.ends_at);
        let later = later.map(|(_, tier)| *tier);
        [first].into_iter().chain(later).collect()
    }
}

/// Units that cost nothing; None: all.
fn included(plan: &str, meter: &str) -> Option<i128> {
    match (plan, meter) {
        ("small", "voice_minutes") => Some(10),
        ("small", _) => Some(5),
        ("large", "voice_minutes") => Some(30),
        ("endless", "voice_minutes") => None,
        _ => Some(12),
    }
}

/// The rate of the first units beyond, for how many, and of the others; in micro-units.
fn rates(plan: &str, meter: &str) -> Option<(i128, i128, i128)> {
    match (plan, meter) {
        ("small", "voice_minutes") => Some((13_000, 20, 7_500)),
        ("small", _) => Some((7_500, 0, 7_500)),
        ("large", "voice_minutes") => Some((11_000, 0, 11_000)),
        ("large", _) => Some((6_500, 0, 6_500)),
        _ => None,
    }
}

fn fee(plan: &str) -> i64 {
    match plan {
        "small" => 50,
        "large" => 30,
        _ => 0,
    }
}

/// The largest allowance held, the last rate there was, rounded once to cents: `floor(x + 1/2)`.
fn price(plans: &[&str], meter: &str, used: i128) -> i64 {
    let allowances: Option<Vec<i128>> = plans.iter().map(|plan| included(plan, meter)).collect();
    let Some(allowance) = allowances.and_then(|all| all.into_iter().max()) else {
        return 0;
    };
    let last_rates = plans.iter().rev().find_map(|plan| rates(plan, meter));
    let Some((first, first_units, then)) = last_rates else {
        return 0;
    };
    let beyond = (used - allowance * MICROS).max(0);
    let after_first = (beyond - first_units * MICROS).max(0);
    // In millionths of millionths of a dollar; a cent is 10^10 of them.
    let exact = first * (beyond - after_first) + then * after_first;
    let cents = (exact * 2 + 10_000_000_000) / 20_000_000_000;
    i64::try_from(cents).expect("amounts of the simulation are small")
}
