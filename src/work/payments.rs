//! Which invoice a charge paid.

use tollkeeper_jobs::{NewJob, RecordInvoice, stripe::Charge, sync_subscription::UNRESOLVED_FOR};

use super::record_invoice::{LOOKS_MIN, delay_of_look};
use crate::{
    context::Context,
    db::{
        accounts,
        billing::invoices::{self, Invoice},
    },
    queue::{self, Failure, Fenced, Lease, Outcome},
};

/// What is known of the invoice that a charge paid.
pub enum Paid {
    /// Its account is locked by this transaction.
    Invoice(Fenced, Box<Invoice>),
    /// The run ends with this.
    Ended(Outcome),
}

/// The invoice that a charge paid, as it is stored. One that is not is recorded first; a charge that paid none is no
/// business of billing's.
pub async fn paid_by(ctx: &Context, lease: &Lease, charge: &Charge) -> Result<Paid, Failure> {
    let Some(invoice_ref) = invoice_ref(ctx, charge).await? else {
        return Ok(Paid::Ended(Outcome::Skipped("it paid no invoice".into())));
    };
    let mut tx = lease.begin(&ctx.pools.work).await?;
    if let Some(invoice) = invoices::by_ref(&mut tx, &invoice_ref).await? {
        accounts::lock(&mut tx, &invoice.account_id).await?;
        return Ok(Paid::Invoice(tx, Box::new(invoice)));
    }
    let now = ctx.clock.now();
    let age = now - charge.created.unwrap_or(now);
    if age >= UNRESOLVED_FOR && lease.attempt > LOOKS_MIN {
        let why = "nobody we know is its customer";
        return Ok(Paid::Ended(Outcome::Skipped(why.into())));
    }
    queue::enqueue_all(&mut tx, &[NewJob::of(&RecordInvoice { invoice_ref })]).await?;
    tx.commit().await?;
    ctx.wake.ring();
    let at = now + delay_of_look(lease.attempt, age);
    Ok(Paid::Ended(Outcome::Later(
        at,
        "its invoice is recorded first".into(),
    )))
}

/// The invoice's id: of the charge itself where Stripe still says so, else by its payment.
async fn invoice_ref(ctx: &Context, charge: &Charge) -> Result<Option<String>, Failure> {
    match (&charge.invoice, &charge.payment_intent) {
        (Some(invoice), _) => Ok(Some(invoice.0.clone())),
        (None, Some(intent)) => Ok(ctx.stripe.invoice_of_payment(&intent.0).await?),
        (None, None) => Ok(None),
    }
}
