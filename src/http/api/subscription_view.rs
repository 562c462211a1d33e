//! A subscription as `GET /api/subscription/{userId}` shows it, under the names its clients know.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use poem_openapi::{Object, types::Any};
use serde_json::{Value, json};
use tollkeeper_jobs::{
    plans::{Interval, Quantity, Tier},
    usage::MicroUnits,
};

use super::plan::FREE;
use crate::{
    db::subscriptions::Subscription,
    http::{auth::AccountId, problem::timestamp},
    usage::Verdict,
};

#[derive(Debug, Object)]
pub struct SubscriptionView {
    /// Always true.
    success: bool,
    subscription: SubscriptionRow,
    /// The plan that is in effect: an ended subscription falls back to the free one.
    plan: PlanView,
    /// Units used in the window that runs, by feature.
    usage: BTreeMap<String, Any<Value>>,
    /// The same as the features of the plan.
    limits: Any<Value>,
}

#[derive(Debug, Object)]
struct SubscriptionRow {
    user_id: String,
    /// The tier's id; `free` without a subscription, and when it has ended.
    plan_id: String,
    /// As Stripe says it; `free` without a subscription.
    status: String,
    /// Null when it has ended.
    stripe_subscription_id: Option<String>,
    stripe_customer_id: Option<String>,
    stripe_price_id: Option<String>,
    current_period_start: Option<String>,
    current_period_end: Option<String>,
    trial_end: Option<String>,
    cancel_at_period_end: Option<bool>,
    canceled_at: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct PlanView {
    id: String,
    name: String,
    /// Dollars a month; absent when it is agreed with each customer.
    price: Option<f64>,
    /// Most units, by feature; `"unlimited"` where there is no limit.
    features: Any<Value>,
}

pub fn of(
    account: &AccountId,
    subscription: Option<Subscription>,
    tier: &Tier,
    usage: &[Verdict],
) -> SubscriptionView {
    let plan = plan_view(tier);
    SubscriptionView {
        success: true,
        limits: Any(plan.features.0.clone()),
        plan,
        usage: usage
            .iter()
            .filter(|one| one.counted != MicroUnits::ZERO)
            .map(|one| (one.feature.clone(), Any(one.counted.to_json())))
            .collect(),
        subscription: match subscription {
            Some(subscription) => row(account, subscription),
            None => free_row(account),
        },
    }
}

fn plan_view(tier: &Tier) -> PlanView {
    let features: BTreeMap<&str, Value> = tier
        .limits
        .iter()
        .map(|(feature, limit)| {
            let most = match limit.max {
                Quantity::Units(most) => json!(most),
                Quantity::Unlimited => json!("unlimited"),
            };
            (feature.as_str(), most)
        })
        .collect();
    PlanView {
        id: tier.id.clone(),
        name: tier.name.clone(),
        price: month_minor(tier).map(|minor| minor as f64 / 100.0),
        features: Any(json!(features)),
    }
}

/// Minor units a month; none when it is agreed with each customer. A tier nobody sells is free.
fn month_minor(tier: &Tier) -> Option<i64> {
    let monthly = tier
        .prices
        .iter()
        .find(|price| price.every == Interval::Month);
    monthly.map_or(Some(0), |price| price.amount_minor)
}

fn row(account: &AccountId, subscription: Subscription) -> SubscriptionRow {
    let instant = |at: Option<DateTime<Utc>>| at.map(timestamp);
    // One that has ended is nobody's plan any more.
    let stands = subscription.status != "canceled";
    let tier = subscription.tier.filter(|_| stands);
    SubscriptionRow {
        user_id: account.as_str().to_owned(),
        plan_id: tier.unwrap_or_else(|| FREE.to_owned()),
        status: subscription.status,
        stripe_subscription_id: stands.then_some(subscription.subscription_ref),
        stripe_customer_id: Some(subscription.customer_ref),
        stripe_price_id: subscription.price_ref,
        current_period_start: instant(subscription.period_starts_at),
        current_period_end: instant(subscription.period_ends_at),
        trial_end: instant(subscription.trial_ends_at),
        cancel_at_period_end: Some(subscription.cancel_at_period_end),
        canceled_at: instant(subscription.canceled_at),
        created_at: Some(timestamp(subscription.created_at)),
        updated_at: Some(timestamp(subscription.synced_at)),
    }
}

fn free_row(account: &AccountId) -> SubscriptionRow {
    SubscriptionRow {
        user_id: account.as_str().to_owned(),
        plan_id: FREE.to_owned(),
        status: FREE.to_owned(),
        stripe_subscription_id: None,
        stripe_customer_id: None,
        stripe_price_id: None,
        current_period_start: None,
        current_period_end: None,
        trial_end: None,
        cancel_at_period_end: None,
        canceled_at: None,
        created_at: None,
        updated_at: None,
    }
}
