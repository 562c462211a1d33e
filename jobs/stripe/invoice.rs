//! An invoice: which subscription and period it is about, and whether lines can still be added.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::Deserialize;

use super::{Metadata, Reference, or_default};

#[derive(Debug, Clone, Deserialize)]
pub struct Invoice {
    /// A preview has none.
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub customer: Option<Reference>,
    /// `draft`, `open`, `paid`, `void`, `uncollectible`.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub billing_reason: Option<String>,
    #[serde(default)]
    pub currency: Option<String>,
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
    /// Given when it is finalized.
    #[serde(default)]
    pub number: Option<String>,
    /// Where the customer can see and pay it.
    #[serde(default)]
    pub hosted_invoice_url: Option<String>,
    /// Minor units; what its lines come to, with taxes and discounts.
    #[serde(default)]
    pub total: i64,
    /// Minor units.
    #[serde(default)]
    pub amount_due: i64,
    /// Minor units.
    #[serde(default)]
    pub amount_paid: i64,
    /// The customer's balance before it was finalized, and after; minor units, a credit is below zero.
    #[serde(default)]
    pub starting_balance: i64,
    /// None while it is a draft.
    #[serde(default)]
    pub ending_balance: Option<i64>,
    /// Minor units, of credit notes from before it was paid.
    #[serde(default)]
    pub pre_payment_credit_notes_amount: i64,
    /// Minor units, of credit notes from after it was paid.
    #[serde(default)]
    pub post_payment_credit_notes_amount: i64,
    /// Whether Stripe goes on with it by itself.
    #[serde(default)]
    pub auto_advance: bool,
    /// How often collecting was tried.
    #[serde(default)]
    pub attempt_count: i32,
    #[serde(default, with = "ts_seconds_option")]
    pub next_payment_attempt: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "or_default")]
    pub status_transitions: StatusTransitions,
    #[serde(default, with = "ts_seconds_option")]
    pub period_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub period_end: Option<DateTime<Utc>>,
    /// None once it is no draft any more.
    #[serde(default, with = "ts_seconds_option")]
    pub automatically_finalizes_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// Since 2025-03-31.
    #[serde(default)]
    parent: Option<Parent>,
    /// Until 2025-02-24.
    #[serde(default)]
    subscription: Option<Reference>,
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
    #[serde(default)]
    paid: Option<bool>,
}

/// When it became what it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct StatusTransitions {
    #[serde(default, with = "ts_seconds_option")]
    pub finalized_at: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub paid_at: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub voided_at: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub marked_uncollectible_at: Option<DateTime<Utc>>,
}

/// A line that somebody put on an invoice, or that waits for one.
#[derive(Debug, Clone, Deserialize)]
pub struct InvoiceItem {
    pub id: String,
    /// Minor units; negative for a credit.
    pub amount: i64,
    pub currency: String,
    /// None: it is pending.
    #[serde(default)]
    pub invoice: Option<Reference>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Debug, Clone, Deserialize)]
struct SubscriptionDetails {
    #[serde(default)]
    subscription: Option<Reference>,
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
}

impl Invoice {
    /// The subscription it bills. None: it was written by hand.
    pub fn subscription_ref(&self) -> Option<&str> {
        self.details()
            .and_then(|details| details.subscription.as_ref())
            .or(self.subscription.as_ref())
            .map(|reference| reference.0.as_str())
    }

    /// The subscription's metadata, as it was when the invoice was made.
    pub fn subscription_metadata(&self) -> Option<&Metadata> {
        self.details().map(|details| &details.metadata)
    }

    pub fn is_paid(&self) -> bool {
        self.paid.unwrap_or(self.status.as_deref() == Some("paid"))
    }

    fn details(&self) -> Option<&SubscriptionDetails> {
        self.parent
            .as_ref()
            .and_then(|parent| parent.subscription_details.as_ref())
            .or(self.subscription_details.as_ref())
    }
}
