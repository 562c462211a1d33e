//! Finalize an invoice of ours; see the promise in `jobs/finalize_invoice.rs`.

use tollkeeper_jobs::{FinalizeInvoice, NewJob, RecordInvoice};

use super::{Work, invoicing};
use crate::{
    context::Context,
    db::billing::invoices,
    journal::{self, stripe},
    queue::{self, Failure, Lease, Outcome},
};

impl Work for FinalizeInvoice {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut conn = ctx.pools.work.acquire().await?;
        let invoice = invoices::load(&mut conn, self.invoice_id).await?;
        drop(conn);
        let Some((invoice, invoice_ref)) =
            invoice.and_then(|invoice| Some((invoice.clone(), invoice.stripe_ref?)))
        else {
            return Ok(Outcome::Skipped(
                "there is no such invoice at Stripe".into(),
            ));
        };
        let finalize = stripe::FinalizeInvoice {
            account_id: &invoice.account_id,
            invoice_id: self.invoice_id,
            invoice_ref: &invoice_ref,
        };
        if let Err(unfinished) = journal::once(ctx, lease, &finalize).await {
            return invoicing::refused(ctx, lease, &invoice, unfinished).await;
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let record = NewJob::of(&RecordInvoice { invoice_ref });
        queue::enqueue_all(&mut tx, &[record.of_account(Some(invoice.account_id))]).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
