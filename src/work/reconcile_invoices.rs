//! Have everybody's invoices compared; see the promise in `jobs/reconcile_invoices.rs`.

use tollkeeper_jobs::{NewJob, ReconcileAccount, ReconcileInvoices, reconcile_invoices::since};

use super::Work;
use crate::{
    context::Context,
    db::billing::reconcile,
    queue::{self, Failure, Lease, Outcome},
};

const BATCH_MAX: i64 = 500;

impl Work for ReconcileInvoices {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let since = since(ctx.clock.now());
        let (mut after, mut asked) = (String::new(), 0);
        loop {
            let mut tx = lease.begin(&ctx.pools.work).await?;
            let accounts = reconcile::accounts(&mut tx, since, &after, BATCH_MAX).await?;
            let Some(last) = accounts.last() else {
                break;
            };
            after.clone_from(last);
            asked += accounts.len();
            let jobs = accounts
                .into_iter()
                .map(|account_id| NewJob::of(&ReconcileAccount { account_id }));
            queue::enqueue_all(&mut tx, &jobs.collect::<Vec<_>>()).await?;
            tx.commit().await?;
            ctx.wake.ring();
        }
        Ok(match asked {
            0 => Outcome::Skipped("nobody was invoiced lately".into()),
            _ => Outcome::Done,
        })
    }
}
