//! Put what is owed on the renewal's draft; see the promise in `jobs/attach_charges.rs`.

use chrono::TimeDelta;
use tollkeeper_jobs::{
    AttachCharges, ClosePeriod, CompareInvoice, NewJob, RaiseUsageInvoice,
    attach_charges::{Plan, decide},
};

use super::{Work, invoicing};
use crate::{
    billing::{self, Placed, Rules, draft},
    context::Context,
    db::{
        accounts,
        billing::{
            charges,
            invoices::{self, Invoice},
            periods,
        },
    },
    queue::{self, Failure, Fenced, Lease, Outcome},
};

/// Rating is a job of its own.
const RATED_AFTER: TimeDelta = TimeDelta::seconds(2);

impl Work for AttachCharges {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let Some(known) = invoices::by_ref(&mut tx, &self.invoice_ref).await? else {
            return Ok(Outcome::Skipped("nobody told us of this invoice".into()));
        };
        accounts::lock(&mut tx, &known.account_id).await?;
        // As it is under the lock.
        let Some(invoice) = invoices::load(&mut tx, known.invoice_id).await? else {
            return Ok(Outcome::Skipped("it is gone".into()));
        };
        let subscriptions =
            billing::align(&mut tx, &ctx.catalogue, &[&invoice.account_id], now).await?;
        let ended_by = invoice.period_ends_at.unwrap_or(now);
        let unrated = periods::unclosed_of(&mut tx, &invoice.account_id, ended_by).await?;
        let subscription = invoice.subscription_ref.as_ref();
        let subscription = subscription.and_then(|one| subscriptions.get(one));
        match decide(&draft(&invoice, subscription), !unrated.is_empty(), now) {
            // What was begun on it is finished or taken off; what else is owed goes elsewhere.
            Plan::Leave(why) => {
                let account_id = invoice.account_id.clone();
                queue::enqueue(&mut tx, &RaiseUsageInvoice { account_id }).await?;
                let begun = charges::lines_of(&mut tx, invoice.invoice_id).await?;
                if begun.is_empty() || invoice.matched_at.is_some() {
                    tx.commit().await?;
                    ctx.wake.ring();
                    return Ok(Outcome::Skipped(why.into()));
                }
            }
            Plan::CloseFirst => {
                let close = unrated.into_iter().map(|(period_id, _)| {
                    let job = NewJob::of(&ClosePeriod { period_id });
                    job.of_account(Some(invoice.account_id.clone()))
                });
                queue::enqueue_all(&mut tx, &close.collect::<Vec<_>>()).await?;
                tx.commit().await?;
                ctx.wake.ring();
                let settled_at = ended_by + Rules::of(ctx).settles_for;
                // Ever more seldom: what keeps it from being rated may be a person's matter.
                let pause = ((now - settled_at) / 20).max(RATED_AFTER);
                let at = (now + pause).max(settled_at);
                return Ok(Outcome::Later(at, "its period is rated first".into()));
            }
            Plan::Attach => {
                if place(ctx, &mut tx, &invoice).await? {
                    tx.commit().await?;
                    return Ok(Outcome::Skipped("the account is parked".into()));
                }
            }
        }
        tx.commit().await?;
        if let Some(ended) = invoicing::add_lines(ctx, lease, &invoice, &self.invoice_ref).await? {
            return Ok(ended);
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let invoice_id = invoice.invoice_id;
        let compare = NewJob::of(&CompareInvoice { invoice_id });
        queue::enqueue_all(&mut tx, &[compare.of_account(Some(invoice.account_id))]).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}

/// Put everything on it that is owed to its customer in its currency. True: the account is parked.
async fn place(ctx: &Context, tx: &mut Fenced, invoice: &Invoice) -> Result<bool, Failure> {
    let now = ctx.clock.now();
    for owing in billing::owing(tx, &invoice.account_id).await? {
        if owing.customer_ref != invoice.customer_ref || owing.currency != invoice.currency {
            continue;
        }
        let caps = &ctx.config.billing.caps;
        let charges = &owing.charges;
        let placed = billing::put_on(
            tx,
            &invoice.account_id,
            charges,
            invoice.invoice_id,
            caps,
            now,
        )
        .await?;
        if placed == Placed::Parked {
            return Ok(true);
        }
        invoices::matched(tx, invoice.invoice_id, None).await?;
    }
    Ok(false)
}
