//! A dispute: a customer's bank took a payment back, or asks about it.

use chrono::{DateTime, Utc, serde::ts_seconds};
use serde::{Deserialize, Deserializer};

use super::Reference;

#[derive(Debug, Clone, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub charge: Reference,
    /// Minor units.
    pub amount: i64,
    pub currency: String,
    #[serde(with = "ts_seconds")]
    pub created: DateTime<Utc>,
    pub status: DisputeStatus,
    /// Stripe's word, such as `fraudulent`.
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisputeStatus {
    /// `warning_…`: the bank asks, and has taken nothing.
    Inquiry,
    /// The amount was taken, and it is argued about it.
    Open,
    Won,
    Lost,
    /// The bank asked, or was about to, and took nothing after all.
    Dropped,
    Unknown(String),
}

impl DisputeStatus {
    /// Whether somebody may still have to answer.
    pub fn is_open(&self) -> bool {
        use DisputeStatus::{Inquiry, Open, Unknown};
        matches!(self, Inquiry | Open | Unknown(_))
    }
}

impl From<&str> for DisputeStatus {
    fn from(text: &str) -> DisputeStatus {
        match text {
            "needs_response" | "under_review" => DisputeStatus::Open,
            "won" => DisputeStatus::Won,
            "lost" => DisputeStatus::Lost,
            "prevented" | "warning_closed" => DisputeStatus::Dropped,
            warning if warning.starts_with("warning_") => DisputeStatus::Inquiry,
            other => DisputeStatus::Unknown(other.to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for DisputeStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DisputeStatus, D::Error> {
        Ok(DisputeStatus::from(
            String::deserialize(deserializer)?.as_str(),
        ))
    }
}
