//! See that an account's periods tile time; see the promise in `jobs/open_period.rs`.

use tollkeeper_jobs::{ClosePeriod, NewJob, OpenPeriod};

use super::Work;
use crate::{
    billing::{self, Rules},
    context::Context,
    db::{accounts, billing::periods},
    queue::{self, Failure, Lease, Outcome},
};

impl Work for OpenPeriod {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let settles_for = Rules::of(ctx).settles_for;
        let mut tx = lease.begin(&ctx.pools.work).await?;
        if !accounts::lock(&mut tx, &self.account_id).await? {
            return Err(Failure::Stop(format!(
                "there is no account {:?}",
                self.account_id
            )));
        }
        billing::align(&mut tx, &ctx.catalogue, &[&self.account_id], now).await?;
        // What is over is not waited for until the timetable comes by.
        let ended = periods::unclosed_of(&mut tx, &self.account_id, now).await?;
        let close = ended.into_iter().map(|(period_id, ends_at)| {
            let job = NewJob::of(&ClosePeriod { period_id }).at(ends_at + settles_for);
            job.of_account(Some(self.account_id.clone()))
        });
        queue::enqueue_all(&mut tx, &close.collect::<Vec<_>>()).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
