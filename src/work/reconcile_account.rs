//! Compare one account's invoices with Stripe's; see the promise in `jobs/reconcile_account.rs`.

use chrono::TimeDelta;
use tollkeeper_jobs::ReconcileAccount;

use super::{Work, reconciliation};
use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome},
};

const AGAIN_AFTER: TimeDelta = TimeDelta::seconds(5);

impl Work for ReconcileAccount {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let mut conn = ctx.pools.work.acquire().await?;
        let books = reconciliation::books(&mut conn, &self.account_id, now).await?;
        drop(conn);
        let said = reconciliation::ask(&ctx.stripe, &books).await?;
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let settled = reconciliation::settle(&mut tx, &self.account_id, &books, said, now).await?;
        let Some(found) = settled else {
            let why = "an invoice of it has just changed";
            return Ok(Outcome::Later(now + AGAIN_AFTER, why.into()));
        };
        tx.commit().await?;
        ctx.wake.ring();
        for drifted in &found.drifted {
            tracing::error!(
                invoice = drifted.subject,
                "an invoice is not at Stripe as it is here"
            );
        }
        Ok(match found.drifted.len() + found.asked {
            0 => Outcome::Skipped("its invoices are at Stripe as they are here".into()),
            _ => Outcome::Done,
        })
    }
}
