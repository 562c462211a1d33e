//! What a change of plan within a period costs, before it is made.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    money::{MoneyError, round_half_up},
    plans::{Catalogue, Interval, Tier},
    usage::Span,
};

/// In minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proration {
    /// Of the current plan, for the time that is left.
    pub unused_credit_minor: i64,
    /// Of the new plan, for the time that is left.
    pub prorated_charge_minor: i64,
    /// What is due; below zero what is given back.
    pub net_minor: i64,
}

/// By days, a started one counting as whole: an estimate for a person to read.
///
/// A period has a day at least, and of it no more is left than there is, and no less than nothing.
pub fn estimate(
    current_price_minor: i64,
    new_price_minor: i64,
    period: Span,
    now: DateTime<Utc>,
) -> Result<Proration, MoneyError> {
    prorated(
        current_price_minor,
        new_price_minor,
        days(period.ends_at - now),
        days(period.ends_at - period.starts_at),
    )
}

/// By the second, as Stripe's invoice will say it. Its credit is a line below zero; how Stripe rounds
/// an exact half there is not documented, and taken to be as above zero.
pub fn by_seconds(
    current_price_minor: i64,
    new_price_minor: i64,
    period: Span,
    now: DateTime<Utc>,
) -> Result<Proration, MoneyError> {
    prorated(
        current_price_minor,
        new_price_minor,
        period.ends_at.timestamp() - now.timestamp(),
        period.ends_at.timestamp() - period.starts_at.timestamp(),
    )
}

fn prorated(
    current_price_minor: i64,
    new_price_minor: i64,
    remaining: i64,
    total: i64,
) -> Result<Proration, MoneyError> {
    let total = total.max(1);
    let remaining = remaining.clamp(0, total);
    let share = |price_minor: i64| {
        let product = i128::from(price_minor) * i128::from(remaining);
        round_half_up(product, i128::from(total))
    };
    let unused_credit_minor = share(current_price_minor)?;
    let prorated_charge_minor = share(new_price_minor)?;
    let net_minor = prorated_charge_minor
        .checked_sub(unused_credit_minor)
        .ok_or(MoneyError::Overflow)?;
    Ok(Proration {
        unused_credit_minor,
        prorated_charge_minor,
        net_minor,
    })
}

/// Started days; below zero none.
fn days(time: TimeDelta) -> i64 {
    let day = TimeDelta::days(1);
    let whole = time.num_days();
    let is_started = time > day * i32::try_from(whole).unwrap_or(i32::MAX);
    (whole + i64::from(is_started)).max(0)
}

/// Why a change is not estimated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no tier {0:?}")]
    UnknownTier(String),
    #[error("the price of {0} is agreed with each customer, so there is nothing to estimate from")]
    CustomPrice(String),
    #[error("{0} is not for sale")]
    NotForSale(String),
    #[error("{0} is the tier that is held already")]
    SameTier(String),
}

impl Refusal {
    /// As apps are told; never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownTier(_) => "UNKNOWN_TIER",
            Refusal::CustomPrice(_) => "CUSTOM_PRICE",
            Refusal::NotForSale(_) => "TIER_NOT_FOR_SALE",
            Refusal::SameTier(_) => "SAME_TIER",
        }
    }
}

/// The tier called `name` in a product, if a change to it from the tier `current` (an id) has an estimate.
pub fn target<'a>(
    catalogue: &'a Catalogue,
    product: &str,
    current: &str,
    name: &str,
) -> Result<&'a Tier, Refusal> {
    let tier = catalogue
        .tier_named(product, name)
        .filter(|tier| tier.product == product)
        .ok_or_else(|| Refusal::UnknownTier(name.to_owned()))?;
    if tier.id == current {
        return Err(Refusal::SameTier(tier.id.clone()));
    }
    let is_free = catalogue.free_tier(product).id == tier.id;
    if tier.prices.is_empty() && !is_free {
        return Err(Refusal::NotForSale(tier.id.clone()));
    }
    if tier.prices.iter().any(|price| price.amount_minor.is_none()) {
        return Err(Refusal::CustomPrice(tier.id.clone()));
    }
    Ok(tier)
}

/// What a tier costs per interval, in minor units. A tier without prices costs nothing.
pub fn price_minor(tier: &Tier, every: Interval) -> Result<i64, Refusal> {
    if tier.prices.is_empty() {
        return Ok(0);
    }
    let price = tier.prices.iter().find(|price| price.every == every);
    let price = price.ok_or_else(|| Refusal::NotForSale(tier.id.clone()))?;
    price
        .amount_minor
        .ok_or_else(|| Refusal::CustomPrice(tier.id.clone()))
}

#[cfg(test)]
mod tests;
