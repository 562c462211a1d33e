//! Decide where what is owed goes; see the promise in `jobs/raise_usage_invoice.rs`.

use tollkeeper_jobs::{
    AttachCharges, CompareInvoice, NewJob, RaiseUsageInvoice,
    billing::placement::{Place, place},
    outside::Refusal,
};

use super::{Work, invoicing};
use crate::{
    billing::{self, Placed},
    context::Context,
    db::{
        accounts,
        billing::{
            charges,
            invoices::{self, NewInvoice},
            parks,
        },
    },
    journal::{self, Unfinished, stripe::MakeInvoice},
    queue::{self, Failure, Lease, Outcome},
};

impl Work for RaiseUsageInvoice {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut outcome = decide(ctx, lease, &self.account_id).await?;
        let mut conn = ctx.pools.work.acquire().await?;
        let unfinished = invoices::own_unfinished(&mut conn, &self.account_id).await?;
        if parks::of(&mut conn, &self.account_id).await?.is_some() {
            return Ok(Outcome::Skipped("the account is parked".into()));
        }
        drop(conn);
        for invoice in unfinished {
            // One that Stripe wants none of keeps no other: a park stops those by itself.
            outcome = build(ctx, lease, invoice).await?.unwrap_or(outcome);
        }
        Ok(outcome)
    }
}

/// Put everything that is owed where it goes now.
async fn decide(ctx: &Context, lease: &Lease, account_id: &str) -> Result<Outcome, Failure> {
    let now = ctx.clock.now();
    let mut outcome = Outcome::Skipped("nothing is owed that is on no invoice".into());
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, account_id).await?;
    for owing in billing::owing(&mut tx, account_id).await? {
        match place(&owing.owed(), &owing.renewal(), now) {
            Place::Renewal => {
                let invoice_ref = owing.renewal.and_then(|invoice| invoice.stripe_ref);
                let attach = invoice_ref.map(|invoice_ref| {
                    let job = NewJob::of(&AttachCharges { invoice_ref });
                    job.of_account(Some(account_id.to_owned()))
                });
                queue::enqueue_all(&mut tx, attach.as_slice()).await?;
                outcome = Outcome::Done;
            }
            Place::WaitUntil(at) => {
                outcome = Outcome::Later(at, "the renewal's invoice may still come".into());
            }
            Place::Carry(why) => outcome = Outcome::Skipped(why.into()),
            Place::Own => {
                let new = NewInvoice {
                    account_id,
                    customer_ref: &owing.customer_ref,
                    currency: &owing.currency,
                    payment_method_ref: owing.payment_method(),
                };
                let invoice_id = invoices::plan(&mut tx, new, now).await?;
                let caps = &ctx.config.billing.caps;
                let charges = &owing.charges;
                let placed =
                    billing::put_on(&mut tx, account_id, charges, invoice_id, caps, now).await?;
                if placed == Placed::Parked {
                    invoices::forget(&mut tx, invoice_id).await?;
                    outcome = Outcome::Skipped("the account is parked".into());
                    break;
                }
                outcome = Outcome::Done;
            }
        }
    }
    tx.commit().await?;
    ctx.wake.ring();
    Ok(outcome)
}

/// See that an invoice of ours is there with all its lines, and have it compared. Some: it could not, and what that
/// comes to.
async fn build(
    ctx: &Context,
    lease: &Lease,
    invoice: invoices::Invoice,
) -> Result<Option<Outcome>, Failure> {
    let make = MakeInvoice {
        account_id: &invoice.account_id,
        invoice_id: invoice.invoice_id,
        customer_ref: &invoice.customer_ref,
        currency: &invoice.currency,
        payment_method_ref: invoice.payment_method_ref.as_deref(),
        planned_at: invoice.created_at,
    };
    let made = match journal::once(ctx, lease, &make).await {
        Ok(made) => made,
        Err(Unfinished::Refused(refusal)) if is_about_its_payment(&invoice, &refusal) => {
            return plan_without_method(ctx, lease, &invoice).await.map(Some);
        }
        Err(unfinished) => {
            return invoicing::refused(ctx, lease, &invoice, unfinished)
                .await
                .map(Some);
        }
    };
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let made = invoices::made(
        &mut tx,
        &invoice.account_id,
        invoice.invoice_id,
        &made.ext_ref,
    )
    .await?;
    tx.commit().await?;
    let Some(invoice_ref) = made else {
        return Ok(Some(Outcome::Skipped("its plan was taken back".into())));
    };
    if let Some(ended) = invoicing::add_lines(ctx, lease, &invoice, &invoice_ref).await? {
        return Ok(Some(ended));
    }
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let invoice_id = invoice.invoice_id;
    let compare = NewJob::of(&CompareInvoice { invoice_id });
    queue::enqueue_all(&mut tx, &[compare.of_account(Some(invoice.account_id))]).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(None)
}

/// Whether Stripe wants none of an invoice for what it was to be paid by: a card that was taken away since.
fn is_about_its_payment(invoice: &invoices::Invoice, refusal: &Refusal) -> bool {
    let message = refusal.message.to_ascii_lowercase().replace(' ', "");
    invoice.payment_method_ref.is_some() && message.contains("paymentmethod")
}

/// Its lines go on another one, which is paid by whatever the customer's invoices are: a request that was refused is
/// never made with other words.
async fn plan_without_method(
    ctx: &Context,
    lease: &Lease,
    invoice: &invoices::Invoice,
) -> Result<Outcome, Failure> {
    let now = ctx.clock.now();
    let new = NewInvoice {
        account_id: &invoice.account_id,
        customer_ref: &invoice.customer_ref,
        currency: &invoice.currency,
        payment_method_ref: None,
    };
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, &invoice.account_id).await?;
    let lines = charges::lines_of(&mut tx, invoice.invoice_id).await?;
    let charge_ids: Vec<_> = lines.iter().map(|line| line.charge_id).collect();
    charges::take_off(&mut tx, &charge_ids, invoice.invoice_id).await?;
    invoices::forget(&mut tx, invoice.invoice_id).await?;
    let invoice_id = invoices::plan(&mut tx, new, now).await?;
    charges::place(&mut tx, &charge_ids, invoice_id).await?;
    tx.commit().await?;
    Ok(Outcome::Later(now, "its payment method is gone".into()))
}
