//! A charge, and how much of it was given back.

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
    #[serde(default)]
    pub refunded: bool,
    /// Until 2025-02-24; later a charge does not name its invoice.
    #[serde(default)]
    pub invoice: Option<Reference>,
}
