//! Entering in the ledger what was given back of a payment, and telling of it.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        history,
        ledger::{Dispute, Kind, Refunds, of_dispute, of_refunds},
    },
    billing_notices,
    money::MoneyError,
    stripe,
};

use crate::{
    db::{
        billing::{events, invoices::Invoice, ledger},
        findings,
    },
    notify,
    queue::Failure,
};

/// A refund came back from the customer's bank: they were told of the money, and have to be paid some other way.
const REFUND_FAILED: &str = "refund_failed";

/// Enter what was refunded of a charge that paid this invoice, whose account the caller has locked. False: all of it is
/// entered already.
pub async fn post_refunds(
    tx: &mut PgConnection,
    invoice: &Invoice,
    charge: &stripe::Charge,
    now: DateTime<Utc>,
) -> Result<bool, Failure> {
    let account_id = &invoice.account_id;
    let posted = ledger::posted(tx, account_id, &charge.id).await?;
    let refunds = Refunds {
        charge_ref: &charge.id,
        refunded_minor: charge.amount_refunded,
        posted_minor: ledger::refunded(tx, account_id, &charge.id).await?,
        seen_at: now,
    };
    let posting = of_refunds(&refunds, &posted).map_err(|error| beyond(&charge.id, error))?;
    let Some(posting) = posting else {
        return Ok(false);
    };
    let is_given_back = posting.kind == Kind::Refunded;
    let subject = posting.subject.clone();
    let event = history::refunded(&posting, name(invoice), &invoice.currency);
    ledger::post(tx, account_id, &invoice.currency, &[posting], now).await?;
    events::tell(tx, account_id, &[event]).await?;
    if is_given_back {
        let notice = billing_notices::refunded(
            account_id,
            invoice.stripe_ref.as_deref().unwrap_or_default(),
            &charge.id,
            refunds.refunded_minor - refunds.posted_minor,
            refunds.refunded_minor,
            &invoice.currency,
        );
        notify::announce(tx, &[notice]).await?;
    } else {
        let detail = json!({
            "invoice": invoice.stripe_ref,
            "charge": charge.id,
            "amount_minor": refunds.posted_minor - refunds.refunded_minor,
            "currency": invoice.currency,
        });
        findings::open(tx, REFUND_FAILED, &subject, account_id, &detail).await?;
    }
    Ok(true)
}

/// Enter what a dispute about a payment of this invoice came to, whose account the caller has locked. False: all of it
/// is entered already, or no money moved.
pub async fn post_dispute(
    tx: &mut PgConnection,
    invoice: &Invoice,
    dispute: &stripe::Dispute,
    now: DateTime<Utc>,
) -> Result<bool, Failure> {
    let account_id = &invoice.account_id;
    let posted = ledger::posted(tx, account_id, &dispute.id).await?;
    let facts = Dispute {
        dispute_ref: &dispute.id,
        amount_minor: dispute.amount,
        status: &dispute.status,
        created_at: dispute.created,
        seen_at: now,
    };
    let postings = of_dispute(&facts, &posted).map_err(|error| beyond(&dispute.id, error))?;
    let told = postings
        .iter()
        .map(|posting| history::disputed(posting, name(invoice), &dispute.currency));
    let told: Vec<_> = told.collect();
    ledger::post(tx, account_id, &dispute.currency, &postings, now).await?;
    events::tell(tx, account_id, &told).await?;
    Ok(!postings.is_empty())
}

fn name(invoice: &Invoice) -> &str {
    let number = invoice.number.as_deref();
    number.or(invoice.stripe_ref.as_deref()).unwrap_or_default()
}

fn beyond(about: &str, error: MoneyError) -> Failure {
    Failure::Stop(format!("{about}: {error}"))
}
