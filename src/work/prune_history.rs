//! Make the days ahead and drop the old ones; see the promise in `jobs/prune_history.rs`.

use tollkeeper_jobs::{PruneHistory, prune_history::keep};

use super::Work;
use crate::{
    context::Context,
    crash::{self, Moment},
    db::{retention, usage::retention as usage},
    queue::{Failure, Lease, Outcome, history},
};

impl Work for PruneHistory {
    async fn run(&self, ctx: &Context, _: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let keep = keep(now);
        let mut conn = ctx.pools.work.acquire().await?;
        history::ensure_days(&mut conn, now.date_naive()).await?;
        usage::ensure_months(&mut conn, now.date_naive()).await?;
        crash::point(Moment::Done, "the days ahead are made");
        let pruned = history::prune(&mut conn, keep.finished_from, keep.dead_from).await?;
        crash::point(Moment::Done, "the old days are dropped");
        let webhooks = retention::forget_webhooks(&mut conn, keep.dead_from).await?;
        crash::point(Moment::Done, "old webhooks are forgotten");
        let usage = usage::forget(&mut conn, keep.usage_from, keep.dead_from).await?;
        crash::point(Moment::Done, "old usage is forgotten");
        let notifications = retention::forget_notifications(&mut conn, keep.dead_from).await?;
        crash::point(Moment::Done, "old notifications are forgotten");
        if pruned == history::Pruned::default() && webhooks + usage + notifications == 0 {
            return Ok(Outcome::Skipped("nothing is old enough".into()));
        }
        tracing::info!(
            days = pruned.days,
            rows = pruned.rows,
            webhooks,
            usage,
            notifications,
            "pruned history"
        );
        Ok(Outcome::Done)
    }
}
