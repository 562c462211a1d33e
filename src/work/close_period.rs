//! Rate one period; see the promise in `jobs/close_period.rs`.

use chrono::TimeDelta;
use tollkeeper_jobs::ClosePeriod;

use super::Work;
use crate::{
    billing::{self, Rules},
    context::Context,
    queue::{Failure, Lease, Outcome},
};

/// Stripe is asked by a job of its own, which asks for this one when it was answered.
const ASKED_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(5);
/// A subscription that Stripe does not know keeps its period open until a person has looked (`subscription_missing`).
const ASKED_AGAIN_AFTER_MAX: TimeDelta = TimeDelta::hours(1);

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
        if let Some((_, ended_at)) = closed.asking.first() {
            let why = "Stripe is asked first what became of its subscription";
            let pause = (now - *ended_at) / 100;
            let pause = pause.clamp(ASKED_AGAIN_AFTER, ASKED_AGAIN_AFTER_MAX);
            return Ok(Outcome::Later(now + pause, why.into()));
        }
        Ok(match (closed.rated.len(), closed.charges.len()) {
            (0, _) => Outcome::Skipped("there is no such period any more".into()),
            (_, 0) => Outcome::Skipped("it comes to what was charged for it".into()),
            _ => Outcome::Done,
        })
    }
}
