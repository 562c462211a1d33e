//! Looks at the timetable every second and stores what has become due. Any number may run.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::timetable::{Entry, TIMETABLE};

use crate::{context::Context, queue::timetable};

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub async fn run_until(ctx: Context, stop: CancellationToken) {
    loop {
        for entry in TIMETABLE {
            look(&ctx, entry).await;
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Store what of one entry has become due.
pub async fn look(ctx: &Context, entry: &Entry) {
    match timetable::tick(&ctx.pools.work, &ctx.clock, entry).await {
        Ok(0) => {}
        Ok(ticks) => {
            tracing::debug!(timetable.entry = entry.name, ticks, "ticked");
            ctx.wake.ring();
        }
        // Nothing is lost: the next look starts where the last good one ended.
        Err(error) => {
            tracing::warn!(%error, timetable.entry = entry.name, "cannot tick; trying again")
        }
    }
}
