//! Close the windows of usage that are over; see the promise in `jobs/close_usage_windows.rs`.

use tollkeeper_jobs::{CloseUsageWindows, close_usage_windows::ended_before};

use super::Work;
use crate::{
    context::Context,
    crash::{self, Moment},
    db::usage::recount,
    queue::{Failure, Lease, Outcome},
    usage,
};

const BATCH_MAX: i64 = 200;
/// The next tick takes the rest.
const BATCHES_MAX: usize = 500;

impl Work for CloseUsageWindows {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let mut closed = 0;
        for _ in 0..BATCHES_MAX {
            let mut tx = lease.begin(&ctx.pools.work).await?;
            let ended = recount::ended(&mut tx, ended_before(now), BATCH_MAX).await?;
            if ended.is_empty() {
                break;
            }
            let wrong = usage::correct_counters(&mut tx, &ended, Some(now)).await?;
            tx.commit().await?;
            crash::point(Moment::Done, "windows of usage are closed");
            closed += ended.len();
            if !wrong.is_empty() {
                tracing::error!(counters = wrong.len(), "counters of usage were wrong");
            }
        }
        Ok(match closed {
            0 => Outcome::Skipped("no window has ended".into()),
            _ => Outcome::Done,
        })
    }
}
