//! Entering in the ledger what Stripe says of an invoice, telling of it, and notifying who has to know.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        history::{self, InvoiceNews, notices},
        ledger::{InvoiceFacts, of_invoice},
    },
    stripe::{Invoice, Status},
    telephony::desired::Standing,
};

use crate::{
    db::{
        billing::{events, ledger},
        subscriptions::{self, Subscription},
        telephony,
    },
    notify,
    queue::Failure,
};

/// Enter what is still to be entered about an invoice, and tell what was not told of it. Its account is locked by the
/// caller, so nobody else enters anything about it meanwhile. `past_due_grace`: for so long telephony goes on unpaid.
pub async fn post_invoice(
    tx: &mut PgConnection,
    account_id: &str,
    said: &Invoice,
    facts: &InvoiceFacts,
    past_due_grace: TimeDelta,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let posted = ledger::posted(tx, account_id, &facts.invoice_ref).await?;
    let postings = of_invoice(facts, &posted)
        .map_err(|error| Failure::Stop(format!("the invoice {}: {error}", facts.invoice_ref)))?;
    let currency = said.currency.as_deref().unwrap_or_default();
    ledger::post(tx, account_id, currency, &postings, now).await?;
    let billed = billed(tx, said).await?;
    let news = InvoiceNews {
        said,
        facts,
        is_behind: billed.as_ref().is_some_and(is_behind),
        now,
    };
    events::tell(tx, account_id, &history::of_invoice(&news)).await?;
    let has_telephony = telephony::load(tx, account_id)
        .await?
        .is_some_and(|telephony| telephony.status == Standing::Active.as_str());
    let behind_since = billed.map(|row| row.past_due_since.unwrap_or(now));
    let suspends_at = behind_since
        .filter(|_| has_telephony)
        .map(|since| since + past_due_grace);
    let notices = notices::of_invoice(&news, account_id, suspends_at);
    notify::announce(tx, &notices).await?;
    Ok(())
}

/// The subscription that an invoice bills, as it is stored.
async fn billed(tx: &mut PgConnection, said: &Invoice) -> sqlx::Result<Option<Subscription>> {
    match said.subscription_ref() {
        Some(subscription_ref) => subscriptions::load(tx, subscription_ref).await,
        None => Ok(None),
    }
}

fn is_behind(billed: &Subscription) -> bool {
    let status = Status::from(billed.status.as_str());
    matches!(status, Status::PastDue | Status::Unpaid | Status::Canceled)
}
