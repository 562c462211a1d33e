//! The ledger: what happened to money, in double entry.
//!
//! A transaction is there once for its kind and its subject, so every look at the same thing may ask for it. Its
//! amounts are Stripe's, at Stripe's times: how often and in what order somebody looked changes nothing. Nothing in it
//! is ever changed; what is taken back is entered the other way round.

mod givebacks;
mod invoices;

pub use givebacks::{Dispute, Refunds, of_dispute, of_refunds};
pub use invoices::{Credit, InvoiceFacts, needs_lines, of_invoice};

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::money::MoneyError;

/// What is kept apart. Stored names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// What finalized invoices are still to bring.
    Receivable,
    Cash,
    /// What we hold for customers at Stripe: a credit is theirs, a debit is owed by them.
    CustomerBalance,
    UsageRevenue,
    SubscriptionRevenue,
    /// Revenue taken back by credit notes.
    CreditNotes,
    /// Revenue paid back.
    Refunds,
    BadDebt,
    /// Paid amounts that a bank has taken back for as long as it is argued about them.
    Disputes,
    DisputeLosses,
}

impl Account {
    pub fn as_str(self) -> &'static str {
        match self {
            Account::Receivable => "receivable",
            Account::Cash => "cash",
            Account::CustomerBalance => "customer_balance",
            Account::UsageRevenue => "usage_revenue",
            Account::SubscriptionRevenue => "subscription_revenue",
            Account::CreditNotes => "credit_notes",
            Account::Refunds => "refunds",
            Account::BadDebt => "bad_debt",
            Account::Disputes => "disputes",
            Account::DisputeLosses => "dispute_losses",
        }
    }
}

/// What happened. Stored names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Finalized,
    Credited,
    CreditVoided,
    MarkedUncollectible,
    Paid,
    Voided,
    Refunded,
    /// A refund did not reach its customer and came back.
    RefundFailed,
    DisputeCreated,
    DisputeWon,
    DisputeLost,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Finalized => "finalized",
            Kind::Credited => "credited",
            Kind::CreditVoided => "credit_voided",
            Kind::MarkedUncollectible => "marked_uncollectible",
            Kind::Paid => "paid",
            Kind::Voided => "voided",
            Kind::Refunded => "refunded",
            Kind::RefundFailed => "refund_failed",
            Kind::DisputeCreated => "dispute_created",
            Kind::DisputeWon => "dispute_won",
            Kind::DisputeLost => "dispute_lost",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub account: Account,
    /// Minor units: a debit above zero, a credit below, never zero.
    pub amount_minor: i64,
}

/// A transaction to enter. Its entries add up to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub kind: Kind,
    /// Begins with the id of what it is about; no two of one kind have the same.
    pub subject: String,
    pub occurred_at: DateTime<Utc>,
    pub entries: Vec<Entry>,
}

impl Posting {
    /// None where no amount is left to enter.
    fn of(
        kind: Kind,
        subject: String,
        occurred_at: DateTime<Utc>,
        amounts: &[(Account, i128)],
    ) -> Result<Option<Posting>, MoneyError> {
        let moving = amounts.iter().filter(|(_, amount)| *amount != 0);
        let entries = moving
            .map(|(account, amount)| {
                let amount_minor = i64::try_from(*amount).map_err(|_| MoneyError::Overflow)?;
                Ok(Entry {
                    account: *account,
                    amount_minor,
                })
            })
            .collect::<Result<Vec<Entry>, MoneyError>>()?;
        Ok((!entries.is_empty()).then_some(Posting {
            kind,
            subject,
            occurred_at,
            entries,
        }))
    }
}

/// What is entered about one thing already: names of kinds, with their subjects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posted(BTreeSet<(String, String)>);

impl Posted {
    pub fn has(&self, kind: Kind, subject: &str) -> bool {
        self.0
            .contains(&(kind.as_str().to_owned(), subject.to_owned()))
    }

    /// Whether there is any of a kind.
    pub fn has_any(&self, kind: Kind) -> bool {
        self.0.iter().any(|(posted, _)| posted == kind.as_str())
    }
}

impl FromIterator<(String, String)> for Posted {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(stored: I) -> Posted {
        Posted(stored.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
