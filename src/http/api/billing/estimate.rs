//! `POST /api/billing/estimate`.

use chrono::{DateTime, Months, Utc};
use poem::http::StatusCode;
use poem_openapi::Object;
use tollkeeper_jobs::{
    billing::proration::{self, Proration, Refusal, price_minor, target},
    money::major_text,
    plans::{Catalogue, Interval, Quantity, Tier},
    stripe::Status,
    usage::Span,
};

use super::{
    AmountSource, Shared, ask, interval, is_live,
    usage::{SMS, VOICE, limit},
};
use crate::{
    db::subscriptions::Subscription,
    http::{
        auth::AccountId,
        problem::{Problem, timestamp},
    },
};

/// The product whose aliases these paths speak.
const PRODUCT: &str = "ai";
/// No tier's name is longer.
const NAME_LENGTH_MAX: usize = 64;

/// The plan to change to.
#[derive(Debug, Object)]
pub struct EstimateChange {
    /// Required: a tier's id, or another name of it.
    target_tier: Option<String>,
}

#[derive(Debug, Object)]
pub struct ChangeEstimate {
    current_tier: String,
    new_tier: String,
    proration: EstimatedProration,
    new_limits: EstimatedLimits,
    /// When the next whole price is due.
    billing_date: String,
    summary: EstimateSummary,
    /// Whose numbers these are: `stripe`, to the second, or `own`, to the day.
    source: AmountSource,
}

#[derive(Debug, Object)]
struct EstimatedProration {
    /// Of the current plan, for the time that is left; minor units.
    unused_credit: i64,
    /// Of the new plan, for the time that is left; minor units.
    prorated_charge: i64,
    /// In the major unit; below zero what is given back.
    net_charge: String,
}

/// What will cost nothing more; -1 where there is no limit.
#[derive(Debug, Object)]
struct EstimatedLimits {
    voice_minutes: i64,
    sms_messages: i64,
}

/// In the major unit.
#[derive(Debug, Object)]
struct EstimateSummary {
    /// Never below zero.
    immediate_charge: String,
    monthly_price: String,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        Problem::bad_request(refusal.code(), refusal.to_string())
    }
}

/// What an account has now.
struct Held<'a> {
    tier: &'a Tier,
    every: Interval,
    /// Paid for already, or about to be.
    period: Span,
    /// None: it pays for nothing.
    subscription: Option<&'a Subscription>,
}

pub async fn of(
    shared: &Shared,
    account: &AccountId,
    wish: EstimateChange,
) -> Result<ChangeEstimate, Problem> {
    let name = wish.target_tier.unwrap_or_default();
    let name: String = name.trim().chars().take(NAME_LENGTH_MAX).collect();
    if name.is_empty() {
        let message = "target_tier is required";
        return Err(Problem::bad_request("MISSING_PARAMETER", message));
    }
    let (catalogue, now) = (shared.catalogue.as_ref(), shared.clock.now());
    let mut tx = shared.begin(account).await?;
    let (subscription, _) = shared.subscription(&mut tx, account).await?;
    drop(tx);

    let subscription = subscription.filter(is_live);
    let held = held(catalogue, subscription.as_ref(), &name, now)?;
    let target = target(catalogue, &held.tier.product, &held.tier.id, &name)?;
    let (proration, source) = match by_stripe(shared, &held, target, now).await {
        Some(proration) => (proration, AmountSource::Stripe),
        None => (own(&held, target, now)?, AmountSource::Own),
    };
    view(catalogue, &held, target, proration, source)
}

fn held<'a>(
    catalogue: &'a Catalogue,
    subscription: Option<&'a Subscription>,
    target: &str,
    now: DateTime<Utc>,
) -> Result<Held<'a>, Problem> {
    // Whoever begins today pays a whole month.
    let begun_now = Span {
        starts_at: now,
        ends_at: now + Months::new(1),
    };
    let Some(subscription) = subscription else {
        let wanted = catalogue.tier_named(PRODUCT, target);
        let product = wanted.map_or(PRODUCT, |tier| tier.product.as_str());
        return Ok(Held {
            tier: catalogue.free_tier(product),
            every: Interval::Month,
            period: begun_now,
            subscription: None,
        });
    };
    let tier = subscription
        .tier
        .as_deref()
        .and_then(|id| catalogue.tier(id));
    let tier = tier.ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "CURRENT_TIER_UNKNOWN",
            "The current subscription is for no tier there is, so there is nothing to estimate from",
        )
    })?;
    let period = subscription
        .period_starts_at
        .zip(subscription.period_ends_at);
    Ok(Held {
        tier,
        every: interval(tier, subscription),
        period: period.map_or(begun_now, |(starts_at, ends_at)| Span {
            starts_at,
            ends_at,
        }),
        subscription: Some(subscription),
    })
}

/// None: there is nothing at Stripe to change, no price to change to, or no answer.
async fn by_stripe(
    shared: &Shared,
    held: &Held<'_>,
    target: &Tier,
    now: DateTime<Utc>,
) -> Option<Proration> {
    let price = target.prices.iter().find(|price| price.every == held.every);
    let price = price?.price_ref.as_deref()?;
    let preview = ask::change(&shared.stripe, held.subscription?, price, now).await?;
    let is_ours = preview.currency == shared.catalogue.currency;
    let (unused_credit_minor, prorated_charge_minor) = preview.prorated(now).filter(|_| is_ours)?;
    Some(Proration {
        unused_credit_minor,
        prorated_charge_minor,
        net_minor: prorated_charge_minor.checked_sub(unused_credit_minor)?,
    })
}

fn own(held: &Held, target: &Tier, now: DateTime<Utc>) -> Result<Proration, Problem> {
    let is_trial = |one: &Subscription| Status::from(one.status.as_str()) == Status::Trialing;
    let (current, new) = match held.subscription {
        // Nothing was paid for the time that is left, and nothing of it will be.
        Some(subscription) if is_trial(subscription) => (0, 0),
        Some(_) => (
            price_minor(held.tier, held.every)?,
            price_minor(target, held.every)?,
        ),
        None => (0, price_minor(target, held.every)?),
    };
    Ok(proration::estimate(current, new, held.period, now)?)
}

fn view(
    catalogue: &Catalogue,
    held: &Held,
    target: &Tier,
    proration: Proration,
    source: AmountSource,
) -> Result<ChangeEstimate, Problem> {
    let money = |amount_minor| major_text(amount_minor, &catalogue.currency);
    let included = |meter| {
        let included = target.included.get(meter).copied();
        limit(included.unwrap_or(Quantity::Units(0)))
    };
    Ok(ChangeEstimate {
        current_tier: held.tier.id.clone(),
        new_tier: target.id.clone(),
        proration: EstimatedProration {
            unused_credit: proration.unused_credit_minor,
            prorated_charge: proration.prorated_charge_minor,
            net_charge: money(proration.net_minor),
        },
        new_limits: EstimatedLimits {
            voice_minutes: included(VOICE),
            sms_messages: included(SMS),
        },
        billing_date: timestamp(held.period.ends_at),
        summary: EstimateSummary {
            immediate_charge: money(proration.net_minor.max(0)),
            monthly_price: money(price_minor(target, Interval::Month)?),
        },
        source,
    })
}
