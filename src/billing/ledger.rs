//! Entering in the ledger what Stripe says of an invoice, and telling of it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        history::{self, InvoiceNews},
        ledger::{InvoiceFacts, of_invoice},
    },
    stripe::{Invoice, Status},
};

use crate::{
    db::{
        billing::{events, ledger},
        subscriptions,
    },
    queue::Failure,
};

/// Enter what is still to be entered about an invoice, and tell what was not told of it. Its account is locked by the
/// caller, so nobody else enters anything about it meanwhile.
pub async fn post_invoice(
    tx: &mut PgConnection,
    account_id: &str,
    said: &Invoice,
    facts: &InvoiceFacts,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let posted = ledger::posted(tx, account_id, &facts.invoice_ref).await?;
    let postings = of_invoice(facts, &posted)
        .map_err(|error| Failure::Stop(format!("the invoice {}: {error}", facts.invoice_ref)))?;
    let currency = said.currency.as_deref().unwrap_or_default();
    ledger::post(tx, account_id, currency, &postings, now).await?;
    let news = InvoiceNews {
        said,
        facts,
        is_behind: is_behind(tx, said).await?,
        now,
    };
    events::tell(tx, account_id, &history::of_invoice(&news)).await?;
    Ok(())
}

/// Whether the subscription that an invoice bills is known to be behind with a payment.
async fn is_behind(tx: &mut PgConnection, said: &Invoice) -> sqlx::Result<bool> {
    let Some(subscription_ref) = said.subscription_ref() else {
        return Ok(false);
    };
    let stored = subscriptions::load(tx, subscription_ref).await?;
    Ok(stored.is_some_and(|stored| {
        let status = Status::from(stored.status.as_str());
        matches!(status, Status::PastDue | Status::Unpaid | Status::Canceled)
    }))
}
