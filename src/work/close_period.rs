//! Rate one period; see the promise in `jobs/close_period.rs`.

use chrono::TimeDelta;
use tollkeeper_jobs::ClosePeriod;

use super::Work;
use crate::{
    billing::{self, Rules},
    context::Context,
    queue::{Failure, Lease, Outcome},
};

/// Stripe is asked by a job of its own.
const ASKED_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(5);

impl Work for ClosePeriod {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let closed = billing::close(&mut tx, Rules::of(ctx), &[self.period_id], now).await?;
        tx.commit().await?;
        ctx.wake.ring();
        if let Some((_, until)) = closed.waiting.first() {
            return Ok(Outcome::Later(*until, "it is not over and settled".into()));
        }
        if !closed.asking.is_empty() {
            let why = "Stripe is asked first what became of its subscription";
            return Ok(Outcome::Later(now + ASKED_AGAIN_AFTER, why.into()));
        }
        Ok(match (closed.rated.len(), closed.charges.len()) {
            (0, _) => Outcome::Skipped("there is no such period any more".into()),
            (_, 0) => Outcome::Skipped("it comes to what was charged for it".into()),
            _ => Outcome::Done,
        })
    }
}
