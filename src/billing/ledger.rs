//! Entering in the ledger what Stripe says of an invoice.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::ledger::{InvoiceFacts, of_invoice},
    money::MoneyError,
};

use crate::db::billing::ledger;

/// Enter what is still to be entered about an invoice. Its account is locked by the caller, so nobody else enters
/// anything about it meanwhile. The inner error: Stripe's amounts are larger than amounts can be.
pub async fn post_invoice(
    tx: &mut PgConnection,
    account_id: &str,
    currency: &str,
    facts: &InvoiceFacts,
    now: DateTime<Utc>,
) -> sqlx::Result<Result<(), MoneyError>> {
    let posted = ledger::posted(tx, account_id, &facts.invoice_ref).await?;
    let postings = match of_invoice(facts, &posted) {
        Ok(postings) => postings,
        Err(error) => return Ok(Err(error)),
    };
    if !postings.is_empty() {
        ledger::post(tx, account_id, currency, &postings, now).await?;
    }
    Ok(Ok(()))
}
