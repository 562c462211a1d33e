//! `/api/billing/usage`.

use poem_openapi::{Object, types::Any};
use serde_json::Value;
use tollkeeper_jobs::{
    billing::{Terms, statement::MeterStatement},
    money::major_text,
    plans::Quantity,
    usage::MicroUnits,
};

use super::Shared;
use crate::{
    billing::{self, RunningPeriod},
    db,
    http::{
        auth::AccountId,
        problem::{Problem, timestamp},
    },
};

pub const VOICE: &str = "voice_minutes";
pub const SMS: &str = "sms";
const EMAILS: &str = "emails";

#[derive(Debug, Object)]
pub struct PeriodUsage {
    /// The plan that bills the period.
    tier: String,
    period: BillingPeriod,
    usage: PeriodUsed,
    limits: PeriodLimits,
    overages: PeriodOverages,
    costs: PeriodCosts,
    usage_percentages: PeriodPercentages,
    /// Why nothing of the period is to be paid: `trial`, `paused` or `collection_voided`.
    waiver: Option<String>,
}

/// A billing period.
#[derive(Debug, Object)]
struct BillingPeriod {
    start: String,
    /// Not included.
    end: String,
}

#[derive(Debug, Object)]
struct PeriodUsed {
    voice_minutes: Any<Value>,
    sms_messages: Any<Value>,
    email_count: Any<Value>,
}

/// What costs nothing more; -1 where there is no limit.
#[derive(Debug, Object)]
struct PeriodLimits {
    voice_minutes: i64,
    sms_messages: i64,
    /// What is allowed in the plan's own window, often a day.
    email_limit: i64,
    has_voice: bool,
    has_sms: bool,
}

/// What was used beyond the limits; 0 where there is none.
#[derive(Debug, Object)]
struct PeriodOverages {
    voice_minutes: Any<Value>,
    sms_messages: Any<Value>,
}

/// In the major unit, with its decimals: `"5.80"`.
#[derive(Debug, Object)]
struct PeriodCosts {
    voice_overage: String,
    sms_overage: String,
    /// For all numbers together.
    phone_number: String,
    /// All of it.
    total_overage: String,
}

/// Of the limits, unrounded; 0 where there is no limit or nothing is included.
#[derive(Debug, Object)]
struct PeriodPercentages {
    voice: Any<Value>,
    sms: Any<Value>,
}

pub async fn of(shared: &Shared, account: &AccountId) -> Result<PeriodUsage, Problem> {
    let mut tx = shared.begin(account).await?;
    let (id, now) = (account.as_str(), shared.clock.now());
    let running = billing::statement(&mut tx, &shared.catalogue, id, now).await?;
    let span = running.period.span;
    let emails = db::billing::usage::between(&mut tx, id, span, &[EMAILS]).await?;
    drop(tx);

    let emails = emails.first().map_or(0, |(_, quantity)| *quantity);
    let tier = shared.catalogue.tier(&running.period.terms.tier);
    let email_limit = tier.and_then(|tier| tier.limits.get(EMAILS));
    let email_limit = email_limit.map_or(Quantity::Units(0), |limit| limit.max);
    Ok(view(&running, MicroUnits(emails), email_limit))
}

fn view(running: &RunningPeriod, emails: MicroUnits, email_limit: Quantity) -> PeriodUsage {
    let RunningPeriod {
        period, statement, ..
    } = running;
    let (voice, sms) = (statement.meter(VOICE), statement.meter(SMS));
    let money = |amount_minor| major_text(amount_minor, &statement.currency);
    PeriodUsage {
        tier: period.terms.tier.clone(),
        period: BillingPeriod {
            start: timestamp(period.span.starts_at),
            end: timestamp(period.span.ends_at),
        },
        usage: PeriodUsed {
            voice_minutes: Any(voice.used.to_json()),
            sms_messages: Any(sms.used.to_json()),
            email_count: Any(emails.at_least_zero().to_json()),
        },
        limits: PeriodLimits {
            voice_minutes: limit(voice.limit),
            sms_messages: limit(sms.limit),
            email_limit: limit(email_limit),
            has_voice: is_sold(&period.terms, VOICE),
            has_sms: is_sold(&period.terms, SMS),
        },
        overages: PeriodOverages {
            voice_minutes: Any(voice.overage.to_json()),
            sms_messages: Any(sms.overage.to_json()),
        },
        costs: PeriodCosts {
            voice_overage: money(voice.cost_minor),
            sms_overage: money(sms.cost_minor),
            phone_number: money(statement.numbers_cost_minor),
            total_overage: money(statement.total_minor),
        },
        usage_percentages: PeriodPercentages {
            voice: percentage(voice),
            sms: percentage(sms),
        },
        waiver: period.waiver.map(|waiver| waiver.as_str().to_owned()),
    }
}

/// As these paths write it: -1 has no end.
pub fn limit(quantity: Quantity) -> i64 {
    match quantity {
        Quantity::Unlimited => -1,
        Quantity::Units(units) => i64::try_from(units).unwrap_or(i64::MAX),
    }
}

/// Whether the plan comes with the meter: some of it is included, or has a price.
fn is_sold(terms: &Terms, meter: &str) -> bool {
    let meter = terms.meter(meter);
    meter.included > Quantity::Units(0) || !meter.rates.is_empty()
}

/// Whole where it is whole: 150 and not 150.0.
fn percentage(meter: MeterStatement) -> Any<Value> {
    let percentage = meter.percentage;
    let is_whole = percentage.fract() == 0.0 && percentage < 1e15;
    Any(match is_whole {
        true => Value::from(percentage as i64),
        false => Value::from(percentage),
    })
}
