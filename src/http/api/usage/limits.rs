//! `POST /api/subscription/check-limits`.

use std::collections::BTreeMap;

use poem_openapi::{Object, types::Any};
use serde_json::{Value, json};
use tollkeeper_jobs::usage::{Calendar, MicroUnits};

use super::{super::user_id::UserId, Answer, READ, Shared, Who};
use crate::{
    http::{auth::Caller, problem::timestamp},
    usage::{Account, Question, Verdict},
};

/// Whose limits.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CheckLimits {
    /// Or `email`. Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    email: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Limits {
    /// The plan that is in effect.
    tier: String,
    subscription: Subscribed,
    /// By feature.
    limits: BTreeMap<String, Limit>,
    /// When the billing period ends; without a subscription the month, in UTC.
    reset_date: String,
}

#[derive(Debug, Object)]
struct Subscribed {
    id: Option<String>,
    /// As Stripe says it; `free` without a subscription.
    status: String,
    current_period_end: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct Limit {
    /// Units per window, or `"unlimited"`.
    limit: Any<Value>,
    used: Any<Value>,
    /// Or `"unlimited"`.
    remaining: Any<Value>,
    /// Of the limit, rounded; may be more than 100.
    percentage: i64,
    /// `day`, `month` or `cycle`.
    window: String,
    resets_at: String,
}

impl Limit {
    fn of(verdict: &Verdict) -> Limit {
        let limit = verdict.limit.unwrap_or_default();
        let used = match limit {
            MicroUnits::ZERO => MicroUnits::ZERO,
            _ => verdict.counted,
        };
        let or_unlimited = |quantity: Option<MicroUnits>| {
            Any(quantity.map_or(json!("unlimited"), MicroUnits::to_json))
        };
        Limit {
            limit: or_unlimited(verdict.limit),
            used: Any(used.to_json()),
            remaining: or_unlimited(verdict.remaining),
            percentage: used.percent_of(limit),
            window: verdict.window.clone(),
            resets_at: timestamp(verdict.resets_at),
        }
    }
}

/// Shown to every caller, whatever the plan: older clients read all five.
const ALWAYS: [&str; 5] = [
    "calls",
    "emails",
    "canvas_scans",
    "ai_queries",
    "transcriptions",
];

pub async fn check(shared: &Shared, caller: &Caller, body: CheckLimits) -> Answer<Limits> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let account = shared.account(caller, READ, &who).await?;

    let mut conn = shared.pool.acquire().await?;
    let mut known = Account::load(&mut conn, [account.as_str()]).await?;
    drop(conn);
    let known = known.remove(account.as_str()).unwrap_or_default();
    let entitlement = shared.rules.entitlement(&known);
    let calendar: Calendar = known.calendar(entitlement.cycle);
    let cycle = calendar.span(tollkeeper_jobs::plans::Window::Cycle, shared.clock.now());
    let tier = entitlement.tier;
    let is_shown = |id: &str| {
        ALWAYS.contains(&id) || tier.limits.contains_key(id) || tier.included.contains_key(id)
    };
    let features = shared.catalogue.features().iter();
    let questions: Vec<Question> = features
        .filter(|feature| is_shown(&feature.id))
        .map(|feature| Question {
            account_id: account.as_str().to_owned(),
            feature: feature.id.clone(),
            requested: MicroUnits::ZERO,
        })
        .collect();
    let verdicts = shared.desk.judge(questions).await?;

    let counting = entitlement.counting;
    let subscription = counting.map(|at| (&known.subscriptions[at], &known.subscription_refs[at]));
    let limits = Limits {
        tier: tier.id.clone(),
        subscription: match subscription {
            None => Subscribed {
                id: None,
                status: "free".to_owned(),
                current_period_end: None,
            },
            Some((subscribed, subscription_ref)) => Subscribed {
                id: Some(subscription_ref.clone()),
                status: subscribed.status.to_string(),
                current_period_end: subscribed.period.map(|period| timestamp(period.ends_at)),
            },
        },
        limits: verdicts
            .iter()
            .map(|verdict| (verdict.feature.clone(), Limit::of(verdict)))
            .collect(),
        reset_date: timestamp(cycle.ends_at),
    };
    shared.answer(limits, "Limits retrieved")
}
