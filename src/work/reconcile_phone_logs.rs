//! Have every subaccount's lists read; see the promise in `jobs/reconcile_phone_logs.rs`.

use tollkeeper_jobs::{NewJob, ReconcilePhoneLog, ReconcilePhoneLogs};

use super::Work;
use crate::{
    context::Context,
    db::subaccounts,
    queue::{self, Failure, Lease, Outcome},
};

impl Work for ReconcilePhoneLogs {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let open = subaccounts::not_closed(&mut tx).await?;
        if open.is_empty() {
            return Ok(Outcome::Skipped("there is no subaccount".into()));
        }
        let jobs = open
            .into_iter()
            .map(|account_id| NewJob::of(&ReconcilePhoneLog { account_id }));
        queue::enqueue_all(&mut tx, &jobs.collect::<Vec<_>>()).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
