//! A charge, how much of it was given back, and by which refund.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::Deserialize;

use super::Reference;

#[derive(Debug, Clone, Deserialize)]
pub struct Charge {
    pub id: String,
    #[serde(default)]
    pub customer: Option<Reference>,
    /// Minor units.
    #[serde(default)]
    pub amount: i64,
    /// Minor units, of all refunds so far.
    #[serde(default)]
    pub amount_refunded: i64,
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
    #[serde(default)]
    pub payment_intent: Option<Reference>,
    /// Until 2025-02-24; later a charge does not name its invoice.
    #[serde(default)]
    pub invoice: Option<Reference>,
}

/// One refund of a charge. What it comes to is asked of the charge.
#[derive(Debug, Clone, Deserialize)]
pub struct Refund {
    pub id: String,
    /// None: it gives back what no charge took.
    #[serde(default)]
    pub charge: Option<Reference>,
}
