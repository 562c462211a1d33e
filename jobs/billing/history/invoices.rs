//! What is told of invoices, and of what was given back of them.

use chrono::{DateTime, Utc};

use super::{Amount, NewEvent};
use crate::{
    billing::ledger::{InvoiceFacts, Kind, Posting},
    stripe::Invoice,
};

/// An invoice of a customer whom we know.
#[derive(Debug, Clone)]
pub struct InvoiceNews<'a> {
    pub said: &'a Invoice,
    pub facts: &'a InvoiceFacts,
    /// Whether its subscription is known to be behind with a payment.
    pub is_behind: bool,
    pub now: DateTime<Utc>,
}

/// So many failed attempts are told at most, the last ones.
const ATTEMPTS_TOLD_MAX: i32 = 20;

impl InvoiceNews<'_> {
    /// How many attempts to collect it have failed. The last one may have been the one that succeeded; or it may be
    /// under way, as debits are for days: then Stripe plans no other one and has not given up.
    pub fn attempts_failed(&self) -> i32 {
        let attempts = self.said.attempt_count;
        let is_failing = self.said.status.as_deref() == Some("open")
            && (self.said.next_payment_attempt.is_some()
                || !self.said.auto_advance
                || self.is_behind);
        match is_failing || self.facts.is_given_up() {
            true => attempts,
            false => attempts.saturating_sub(1).max(0),
        }
    }

    /// By its number, else by its id.
    fn name(&self) -> &str {
        let number = self.said.number.as_deref();
        number.unwrap_or(&self.facts.invoice_ref)
    }

    fn amount(&self, minor: i64) -> Option<Amount> {
        let currency = self.said.currency.as_deref()?;
        Some(Amount::of(minor, currency))
    }

    fn event(&self, event_type: &'static str, minor: i64, description: String) -> NewEvent {
        NewEvent {
            event_type,
            occasion: self.facts.invoice_ref.clone(),
            amount: self.amount(minor),
            description,
            occurred_at: self.now,
        }
    }
}

/// Everything there is to tell of an invoice as it is now.
pub fn of_invoice(news: &InvoiceNews) -> Vec<NewEvent> {
    let (facts, name) = (news.facts, news.name());
    let mut events = Vec::new();
    if let (Some(at), true) = (facts.finalized_at, facts.usage_minor != 0) {
        let text = format!("Overage charges added to invoice {name}");
        let added = news.event("overage_charges_added", facts.usage_minor, text);
        events.push(at_time(added, at));
    }
    let failed = news.attempts_failed();
    for attempt in failed.saturating_sub(ATTEMPTS_TOLD_MAX).max(0) + 1..=failed {
        let text = format!("Payment of invoice {name} failed (attempt {attempt})");
        let mut event = news.event("payment_failed", news.said.amount_due, text);
        event.occasion = format!("{}:{attempt}", facts.invoice_ref);
        events.push(event);
    }
    if let (Some(at), true) = (facts.paid_at, facts.paid_minor != 0) {
        let text = format!("Payment received for invoice {name}");
        let paid = news.event("payment_succeeded", facts.paid_minor, text);
        events.push(at_time(paid, at));
    }
    if let Some(at) = facts.marked_uncollectible_at {
        let text = format!("Invoice {name} was written off");
        let marked = news.event("invoice_uncollectible", facts.total_minor, text);
        events.push(at_time(marked, at));
    }
    if let Some(at) = facts.voided_at {
        let text = format!("Invoice {name} was voided");
        let voided = news.event("invoice_voided", facts.total_minor, text);
        events.push(at_time(voided, at));
    }
    events
}

fn at_time(event: NewEvent, occurred_at: DateTime<Utc>) -> NewEvent {
    NewEvent {
        occurred_at,
        ..event
    }
}

/// What is told of a refund that is entered now.
pub fn refunded(posting: &Posting, invoice: &str, currency: &str) -> NewEvent {
    let amount = Amount::of(moved(posting), currency);
    let (event_type, description) = match posting.kind {
        Kind::RefundFailed => (
            "refund_failed",
            format!(
                "Refund of {} for invoice {invoice} did not arrive",
                amount.text()
            ),
        ),
        _ => (
            "refund",
            format!("Refund of {} for invoice {invoice}", amount.text()),
        ),
    };
    of_posting(event_type, posting, amount, description)
}

/// What is told of a step of a dispute that is entered now.
pub fn disputed(posting: &Posting, invoice: &str, currency: &str) -> NewEvent {
    let amount = Amount::of(moved(posting), currency);
    let (event_type, what) = match posting.kind {
        Kind::DisputeWon => ("dispute_won", "The dispute was decided for us"),
        Kind::DisputeLost => ("dispute_lost", "The dispute was decided for the customer"),
        _ => ("dispute_created", "The payment was disputed"),
    };
    let description = format!("{what}: {} for invoice {invoice}", amount.text());
    of_posting(event_type, posting, amount, description)
}

/// The amount that a transaction of two entries moves.
fn moved(posting: &Posting) -> i64 {
    let debits = posting
        .entries
        .iter()
        .map(|entry| entry.amount_minor.max(0));
    debits.max().unwrap_or(0)
}

fn of_posting(
    event_type: &'static str,
    posting: &Posting,
    amount: Amount,
    description: String,
) -> NewEvent {
    NewEvent {
        event_type,
        occasion: posting.subject.clone(),
        amount: Some(amount),
        description,
        occurred_at: posting.occurred_at,
    }
}
