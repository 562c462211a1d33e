//! Count the usage of the last weeks again; see the promise in `jobs/recount_usage.rs`.

use tollkeeper_jobs::{RecountUsage, recount_usage::since};

use super::Work;
use crate::{
    context::Context,
    crash::{self, Moment},
    db::usage::recount::{self, Counter},
    queue::{Failure, Lease, Outcome},
    usage,
};

const WRONG_MAX: i64 = 1000;

impl Work for RecountUsage {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let mut conn = ctx.pools.work.acquire().await?;
        let wrong = recount::differences(&mut conn, since(now), None, WRONG_MAX).await?;
        drop(conn);
        crash::point(Moment::Done, "usage is counted again");
        if wrong.is_empty() {
            return Ok(Outcome::Done);
        }
        let counters: Vec<Counter> = wrong.iter().map(Counter::from).collect();
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let corrected = usage::correct_counters(&mut tx, &counters, None).await?;
        tx.commit().await?;
        tracing::error!(counters = corrected.len(), "counters of usage were wrong");
        Ok(Outcome::Done)
    }
}
