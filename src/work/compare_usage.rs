//! Compare what was metered with what the provider counted; see the promise in `jobs/compare_usage.rs`.

use serde_json::json;
use tollkeeper_jobs::{
    CompareUsage,
    compare_usage::{days, differ, ends, theirs},
    usage::Span,
};

use super::Work;
use crate::{
    context::Context,
    db::{findings, phone_usage, subaccounts},
    queue::{Failure, Lease, Outcome},
};

/// The finding about a day of a subaccount; its subject is both.
const DIFFERS: &str = "usage_differs";

impl Work for CompareUsage {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut conn = ctx.pools.work.acquire().await?;
        let read = subaccounts::read_until(&mut conn, &self.account_id).await?;
        drop(conn);
        let Some((subaccount_ref, read_until)) = read else {
            return Ok(Outcome::Skipped("it has no subaccount".into()));
        };
        let days = days(ctx.clock.now(), read_until);
        let (Some(first), Some(last)) = (days.first().copied(), days.last().copied()) else {
            let why = "its lists were not read since the last day ended";
            return Ok(Outcome::Skipped(why.into()));
        };
        let listed = ctx.twilio.usage_by_day(&subaccount_ref, first, last);
        let Some(records) = listed.await? else {
            // That it is missing is told by `sweep_provider_resources`.
            return Ok(Outcome::Skipped("Twilio knows no such subaccount".into()));
        };
        let theirs = theirs(&records);

        let mut tx = lease.begin(&ctx.pools.work).await?;
        for day in days {
            let span = Span {
                starts_at: ends(day.pred_opt().unwrap_or(day)),
                ends_at: ends(day),
            };
            let ours = phone_usage::came_to(&mut tx, &self.account_id, span).await?;
            let over_midnight = phone_usage::over_midnight(&mut tx, &self.account_id, span).await?;
            let theirs = theirs.get(&day).copied().unwrap_or_default();
            let subject = format!("{subaccount_ref}:{day}");
            if differ(ours, theirs, over_midnight) {
                let detail = json!({
                    "our_minutes": ours.minutes.to_json(),
                    "their_minutes": theirs.minutes.to_json(),
                    "our_segments": ours.segments.to_json(),
                    "their_segments": theirs.segments.to_json(),
                });
                findings::keep(&mut tx, DIFFERS, &subject, &self.account_id, &detail).await?;
            } else {
                findings::close(&mut tx, DIFFERS, &subject, "both count the same now").await?;
            }
        }
        tx.commit().await?;
        Ok(Outcome::Done)
    }
}
