//! A subscription: what is paid for, until when, and how well.

use std::fmt;

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::{Deserialize, Deserializer};

use super::{List, Metadata, Reference, or_default};

#[derive(Debug, Clone, Deserialize)]
pub struct Subscription {
    pub id: String,
    pub customer: Reference,
    pub status: Status,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    cancel_at_period_end: bool,
    /// When it ends, where that is planned.
    #[serde(default, with = "ts_seconds_option")]
    pub cancel_at: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
    /// Where its months are counted from.
    #[serde(default, with = "ts_seconds_option")]
    pub billing_cycle_anchor: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub trial_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub trial_end: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub canceled_at: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub ended_at: Option<DateTime<Utc>>,
    /// What it is paid by. None: by whatever the customer's invoices are.
    #[serde(default)]
    pub default_payment_method: Option<Reference>,
    #[serde(default)]
    pause_collection: Option<PauseCollection>,
    /// Since 2026-09-30.
    #[serde(default)]
    status_details: Option<StatusDetails>,
    #[serde(default, deserialize_with = "or_default")]
    items: List<Item>,
    /// Until 2025-02-24; later versions have them on the items.
    #[serde(default, with = "ts_seconds_option")]
    current_period_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_end: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Deserialize)]
struct PauseCollection {
    behavior: String,
}

#[derive(Debug, Clone, Deserialize)]
struct StatusDetails {
    #[serde(default)]
    paused: Option<Paused>,
}

#[derive(Debug, Clone, Deserialize)]
struct Paused {
    #[serde(default, with = "ts_seconds_option")]
    transitioned_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Item {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    price: Option<Reference>,
    #[serde(default)]
    plan: Option<Reference>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_end: Option<DateTime<Utc>>,
}

impl Subscription {
    /// The current period, from the items or from the subscription itself. Items may differ; the
    /// period is what they cover together.
    pub fn period(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let items = &self.items.data;
        let starts_at = items.iter().filter_map(|item| item.current_period_start);
        let ends_at = items.iter().filter_map(|item| item.current_period_end);
        starts_at
            .min()
            .or(self.current_period_start)
            .zip(ends_at.max().or(self.current_period_end))
    }

    /// Whether no period follows the current one. A customer who cancels in Stripe's portal says so by a date alone, in
    /// the billing mode that is the default of newer accounts (`flexible`).
    pub fn ends_with_period(&self) -> bool {
        let by_date = self.cancel_at.zip(self.period());
        self.cancel_at_period_end || by_date.is_some_and(|(at, (_, ends_at))| at <= ends_at)
    }

    /// What becomes of its invoices while collecting them is paused: `keep_as_draft`, `mark_uncollectible` or `void`.
    /// Its status stays what it was.
    pub fn pause_behavior(&self) -> Option<&str> {
        self.pause_collection
            .as_ref()
            .map(|pause| pause.behavior.as_str())
    }

    /// When it was paused itself, where Stripe says so.
    pub fn paused_at(&self) -> Option<DateTime<Utc>> {
        self.status_details
            .as_ref()?
            .paused
            .as_ref()?
            .transitioned_at
    }

    /// The id of its one item. None: there are several, and none is the plan.
    pub fn only_item(&self) -> Option<&str> {
        match self.items.data.as_slice() {
            [only] if !self.items.has_more => only.id.as_deref(),
            _ => None,
        }
    }

    /// What is subscribed to, one price per item.
    pub fn price_refs(&self) -> impl Iterator<Item = &str> {
        self.items
            .data
            .iter()
            .filter_map(|item| item.price.as_ref().or(item.plan.as_ref()))
            .map(|price| price.0.as_str())
    }
}

/// Stripe's word for how a subscription stands. A word of a later version is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Canceled,
    Unpaid,
    Paused,
    Unknown(String),
}

impl Status {
    /// As Stripe writes it, and as stored.
    pub fn as_str(&self) -> &str {
        match self {
            Status::Incomplete => "incomplete",
            Status::IncompleteExpired => "incomplete_expired",
            Status::Trialing => "trialing",
            Status::Active => "active",
            Status::PastDue => "past_due",
            Status::Canceled => "canceled",
            Status::Unpaid => "unpaid",
            Status::Paused => "paused",
            Status::Unknown(text) => text,
        }
    }

    /// Whether a subscription that stands so never changes again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Status::Canceled | Status::IncompleteExpired)
    }
}

impl From<&str> for Status {
    fn from(text: &str) -> Status {
        match text {
            "incomplete" => Status::Incomplete,
            "incomplete_expired" => Status::IncompleteExpired,
            "trialing" => Status::Trialing,
            "active" => Status::Active,
            "past_due" => Status::PastDue,
            "canceled" => Status::Canceled,
            "unpaid" => Status::Unpaid,
            "paused" => Status::Paused,
            other => Status::Unknown(other.to_owned()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
        Ok(Status::from(String::deserialize(deserializer)?.as_str()))
    }
}
