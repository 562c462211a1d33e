//! What happened to an account's money, in words for its user. Each of these is stored once for its account, type and
//! occasion, so every look at the same thing may tell it again.
//!
//! Types are stored and shown to apps: they are never renamed.

mod invoices;
pub mod notices;
mod subscriptions;

pub use invoices::{InvoiceNews, disputed, of_invoice, refunded};
pub use subscriptions::{Before, SubscriptionNews, of_subscription};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::money::major_text;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub event_type: &'static str,
    /// What makes it this one and no other of its type.
    pub occasion: String,
    /// What it is about, where it is about an amount.
    pub amount: Option<Amount>,
    pub description: String,
    pub occurred_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    pub minor: i64,
    /// ISO 4217, lower case.
    pub currency: String,
}

impl Amount {
    fn of(minor: i64, currency: &str) -> Amount {
        Amount {
            minor,
            currency: currency.to_owned(),
        }
    }

    /// `5.80 USD`.
    fn text(&self) -> String {
        let currency = self.currency.to_ascii_uppercase();
        format!("{} {currency}", major_text(self.minor, &self.currency))
    }
}

/// Stripe's times are whole seconds: the same instant is always written alike.
fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
