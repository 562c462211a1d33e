//! What was answered. Kept with the key of a request, so that a copy of it is answered alike: a stored format.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollkeeper_jobs::{
    plans::Window,
    usage::{Allowance, Decision, MicroUnits, Used},
};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was counted, as was asked.
    Recorded(Receipt),
    /// It was asked for. With an effect: it was granted.
    Judged(Verdict, Option<Effect>),
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub event_id: Uuid,
    pub feature: String,
    pub quantity: MicroUnits,
    pub tier: String,
    pub at: DateTime<Utc>,
    pub warning: Option<String>,
}

/// What became of a wish that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Consumed {
        event_id: Uuid,
    },
    Reserved {
        hold_id: Uuid,
        expires_at: DateTime<Utc>,
    },
}

/// May they? With everything the answer follows from, before the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub is_allowed: bool,
    /// As [`Code::as_str`](tollkeeper_jobs::usage::Code::as_str) has it.
    pub code: String,
    pub tier: String,
    pub feature: String,
    /// None: there is no limit.
    pub limit: Option<MicroUnits>,
    pub counted: MicroUnits,
    pub held: MicroUnits,
    pub requested: MicroUnits,
    pub remaining: Option<MicroUnits>,
    /// By how much it goes beyond the limit.
    pub overage: MicroUnits,
    /// What a unit beyond the limit costs, in micro-units of the currency; none: there is no going beyond.
    pub rate_micros: Option<i64>,
    /// day, month or cycle.
    pub window: String,
    pub resets_at: DateTime<Utc>,
}

/// What a verdict is made of beside the decision.
pub(super) struct Grounds<'a> {
    pub tier: &'a str,
    pub feature: &'a str,
    pub allowance: Allowance,
    pub window: Window,
    pub resets_at: DateTime<Utc>,
}

impl Verdict {
    pub(super) fn of(
        grounds: &Grounds<'_>,
        used: Used,
        requested: MicroUnits,
        decision: Decision,
    ) -> Verdict {
        Verdict {
            is_allowed: decision.is_allowed,
            code: decision.code.as_str().to_owned(),
            tier: grounds.tier.to_owned(),
            feature: grounds.feature.to_owned(),
            limit: grounds.allowance.limit(),
            counted: used.counted,
            held: used.held,
            requested,
            remaining: decision.remaining,
            overage: decision.overage,
            rate_micros: match grounds.allowance {
                Allowance::Billable { rate_micros, .. } => Some(rate_micros),
                _ => None,
            },
            window: grounds.window.as_str().to_owned(),
            resets_at: grounds.resets_at,
        }
    }
}
