//! Ask Stripe for drafts; see the promise in `jobs/poll_invoice_drafts.rs`.

use tollkeeper_jobs::{
    NewJob, PollInvoiceDrafts, RecordInvoice,
    poll_invoice_drafts::{made_since, stale_before},
};

use super::Work;
use crate::{
    context::Context,
    db::billing::invoices,
    queue::{self, Failure, Lease, Outcome},
};

const STALE_MAX: i64 = 500;

impl Work for PollInvoiceDrafts {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let drafts = ctx.stripe.drafts(made_since(now)).await?;
        let drafts: Vec<String> = drafts
            .into_iter()
            .filter_map(|invoice| invoice.id)
            .collect();
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let mut wanted = invoices::not_known(&mut tx, &drafts).await?;
        wanted.extend(invoices::stale_drafts(&mut tx, stale_before(now), STALE_MAX).await?);
        let jobs: Vec<NewJob> = wanted
            .into_iter()
            .map(|invoice_ref| NewJob::of(&RecordInvoice { invoice_ref }))
            .collect();
        queue::enqueue_all(&mut tx, &jobs).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(match jobs.len() {
            0 => Outcome::Skipped("every draft is known".into()),
            _ => Outcome::Done,
        })
    }
}
