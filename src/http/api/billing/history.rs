//! `GET /api/billing/history`.

use poem_openapi::Object;
use tollkeeper_jobs::money::major_text;

use super::Shared;
use crate::{
    db::billing::history::{self, BillingEvent, SentInvoice},
    http::{
        auth::AccountId,
        problem::{Problem, timestamp},
    },
};

const INVOICES_MAX: i64 = 12;
const EVENTS_MAX: i64 = 50;

#[derive(Debug, Object)]
pub struct BillingHistory {
    /// The last invoices, newest first.
    history: Vec<PastInvoice>,
    /// What happened last, newest first.
    events: Vec<PastEvent>,
}

#[derive(Debug, Object)]
struct PastInvoice {
    /// Stripe's.
    id: String,
    /// In the major unit: `"45.80"`.
    amount: String,
    /// open, paid, void or uncollectible.
    status: String,
    description: String,
    invoice_url: Option<String>,
    period_start: Option<String>,
    period_end: Option<String>,
    created_at: String,
}

#[derive(Debug, Object)]
struct PastEvent {
    event_type: String,
    /// In the major unit; null where it is about no amount.
    amount: Option<String>,
    description: String,
    processed_at: String,
}

pub async fn of(shared: &Shared, account: &AccountId) -> Result<BillingHistory, Problem> {
    let mut tx = shared.begin(account).await?;
    let invoices = history::invoices(&mut tx, account.as_str(), INVOICES_MAX).await?;
    let events = history::events(&mut tx, account.as_str(), EVENTS_MAX).await?;
    drop(tx);

    let currency = shared.catalogue.currency.as_str();
    Ok(BillingHistory {
        history: invoices.into_iter().map(invoice).collect(),
        events: events.into_iter().map(|one| event(one, currency)).collect(),
    })
}

fn invoice(row: SentInvoice) -> PastInvoice {
    PastInvoice {
        amount: major_text(row.total_minor, &row.currency),
        description: description(&row),
        id: row.stripe_ref,
        status: row.status,
        invoice_url: row.url,
        period_start: row.period_starts_at.map(timestamp),
        period_end: row.period_ends_at.map(timestamp),
        created_at: timestamp(row.created_at),
    }
}

/// What it was for, and its number.
fn description(row: &SentInvoice) -> String {
    let what = match row.billing_reason.as_deref() {
        _ if row.is_own => "Usage",
        Some("subscription_create") => "Subscription started",
        Some("subscription_cycle") => "Subscription renewed",
        Some("subscription_update") => "Subscription changed",
        _ => "Invoice",
    };
    match &row.number {
        Some(number) => format!("{what} ({number})"),
        None => what.to_owned(),
    }
}

fn event(row: BillingEvent, catalogue_currency: &str) -> PastEvent {
    let currency = row.currency.as_deref().unwrap_or(catalogue_currency);
    PastEvent {
        amount: row.amount_minor.map(|amount| major_text(amount, currency)),
        event_type: row.event_type,
        description: row.description,
        processed_at: timestamp(row.occurred_at),
    }
}
