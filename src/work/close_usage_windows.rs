//! Close the windows of usage that are over; see the promise in `jobs/close_usage_windows.rs`.

use chrono::{DateTime, Utc};
use tollkeeper_jobs::{
    ClosePeriod, CloseUsageWindows, NewJob, close_usage_windows::ended_before, prune_history,
};

use super::Work;
use crate::{
    context::Context,
    crash::{self, Moment},
    db::{
        billing::periods,
        usage::recount::{self, Counter},
    },
    queue::{self, Failure, Fenced, Lease, Outcome},
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
            rate_again(&mut tx, &ended, now).await?;
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

/// A window that is closed after a billing period it lies in was rated: something came late. The period is rated again.
async fn rate_again(tx: &mut Fenced, ended: &[Counter], now: DateTime<Utc>) -> Result<(), Failure> {
    let days: Vec<&Counter> = ended.iter().filter(|one| one.per == "day").collect();
    let accounts: Vec<&str> = days.iter().map(|one| one.account_id.as_str()).collect();
    let starts: Vec<_> = days.iter().map(|one| one.starts_at).collect();
    let kept_from = prune_history::usage_kept_from(now);
    let periods = periods::over_around(tx, &accounts, &starts, kept_from, now).await?;
    let jobs = periods.into_iter().map(|(period_id, account_id)| {
        NewJob::of(&ClosePeriod { period_id }).of_account(Some(account_id))
    });
    queue::enqueue_all(tx, &jobs.collect::<Vec<_>>()).await?;
    Ok(())
}
