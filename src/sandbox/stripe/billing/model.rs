//! Invoices, their lines, and the items that become lines. Instants are Unix seconds, amounts minor
//! units.

use std::sync::Arc;

use serde::Serialize;

use super::super::{
    agenda::Happening,
    model::{Metadata, Price},
    shelf::Object,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A subscription's own price for one period.
    Subscription,
    /// An invoice item.
    Item,
    /// An invoice item made by a change in the middle of a period.
    Proration,
}

/// A price, or what stands for one where only an amount was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    pub price: String,
    pub product: String,
    /// Minor units, with decimals.
    pub unit_amount_decimal: String,
    /// The price itself, unless it was made for one line only.
    pub recurring: Option<Price>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Empty while its item is on no invoice.
    pub id: String,
    pub kind: LineKind,
    /// The invoice item it was made of.
    pub item: Option<String>,
    pub subscription: Option<String>,
    pub subscription_item: Option<String>,
    pub amount: i64,
    pub currency: String,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub period_start: i64,
    pub period_end: i64,
    pub quantity: i64,
    pub pricing: Pricing,
    /// Whether a coupon takes something off it.
    pub is_discountable: bool,
}

/// Pending while it is on no invoice.
#[derive(Debug, Clone)]
pub struct InvoiceItem {
    pub id: String,
    pub created: i64,
    pub customer: String,
    pub invoice: Option<String>,
    pub is_deleted: bool,
    /// What stands on the invoice.
    pub line: Line,
}

/// The subscription an invoice is about, with its metadata as they were.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    pub subscription: String,
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Invoice {
    /// Empty for a preview.
    pub id: String,
    pub created: i64,
    pub customer: String,
    pub customer_email: Option<String>,
    pub parent: Option<Parent>,
    pub billing_reason: &'static str,
    pub collection_method: String,
    pub currency: String,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub default_payment_method: Option<String>,
    pub period_start: i64,
    pub period_end: i64,
    /// Shared with the events that told of them.
    pub lines: Arc<Vec<Line>>,
    pub status: InvoiceStatus,
    pub auto_advance: bool,
    pub number: Option<String>,
    /// The customer's balance before and after it was finalized.
    pub starting_balance: i64,
    pub ending_balance: Option<i64>,
    /// What is left to pay after the balance; of a draft see [`Invoice::due`].
    pub amount_due: i64,
    pub amount_paid: i64,
    pub is_attempted: bool,
    pub attempt_count: u32,
    pub next_attempt: Option<i64>,
    /// While it is a draft that goes on by itself.
    pub finalizes_at: Option<i64>,
    pub finalized_at: Option<i64>,
    pub paid_at: Option<i64>,
    pub uncollectible_at: Option<i64>,
    pub voided_at: Option<i64>,
    pub is_paid_out_of_band: bool,
    /// By a coupon, of every line that may be discounted.
    pub percent_off: i64,
    pub credited_before_payment: i64,
    pub credited_after_payment: i64,
    pub payment_intent: Option<String>,
    pub charge: Option<String>,
    pub is_deleted: bool,
}

impl Invoice {
    /// A draft without lines that stays one until somebody finalizes it.
    pub fn draft(id: String, at: i64, customer: String, billing_reason: &'static str) -> Invoice {
        Invoice {
            id,
            created: at,
            customer,
            customer_email: None,
            parent: None,
            billing_reason,
            collection_method: "charge_automatically".to_owned(),
            currency: "usd".to_owned(),
            description: None,
            metadata: Metadata::new(),
            default_payment_method: None,
            period_start: at,
            period_end: at,
            lines: Arc::default(),
            status: InvoiceStatus::Draft,
            auto_advance: false,
            number: None,
            starting_balance: 0,
            ending_balance: None,
            amount_due: 0,
            amount_paid: 0,
            is_attempted: false,
            attempt_count: 0,
            next_attempt: None,
            finalizes_at: None,
            finalized_at: None,
            paid_at: None,
            uncollectible_at: None,
            voided_at: None,
            is_paid_out_of_band: false,
            percent_off: 0,
            credited_before_payment: 0,
            credited_after_payment: 0,
            payment_intent: None,
            charge: None,
            is_deleted: false,
        }
    }

    /// The sum of its lines.
    pub fn subtotal(&self) -> i64 {
        let amounts = self.lines.iter().map(|line| line.amount);
        amounts.fold(0, i64::saturating_add)
    }

    /// What a coupon takes off.
    pub fn discount(&self) -> i64 {
        let lines = self.lines.iter().filter(|line| line.is_discountable);
        let amounts = lines.map(|line| line.amount);
        amounts.fold(0, i64::saturating_add).max(0) * self.percent_off / 100
    }

    pub fn total(&self) -> i64 {
        self.subtotal() - self.discount()
    }

    /// What is to be paid; of a draft as far as one can tell.
    pub fn due(&self) -> i64 {
        match self.status {
            InvoiceStatus::Draft => self.total().max(0),
            _ => self.amount_due,
        }
    }

    pub fn subscription(&self) -> Option<&str> {
        self.parent
            .as_ref()
            .map(|parent| parent.subscription.as_str())
    }

    pub fn is_open(&self) -> bool {
        self.status == InvoiceStatus::Open
    }

    /// The subscription whose own invoice it is: an invoice written by hand has no say over one.
    pub fn billed(&self) -> Option<&str> {
        self.subscription()
            .filter(|_| self.billing_reason.starts_with("subscription"))
    }

    /// What happens next to it by itself.
    pub fn next(&self) -> Option<(i64, Happening)> {
        if self.is_deleted {
            return None;
        }
        match self.status {
            InvoiceStatus::Draft => self.finalizes_at.map(|at| (at, Happening::Finalization)),
            InvoiceStatus::Open => self.next_attempt.map(|at| (at, Happening::Collection)),
            _ => None,
        }
    }
}

impl Object for Invoice {
    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

impl Object for InvoiceItem {
    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}
