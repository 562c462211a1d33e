//! Close the periods that are over; see the promise in `jobs/close_due_periods.rs`.

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use tollkeeper_jobs::{CloseDuePeriods, ClosePeriod, NewJob, OpenPeriod};
use uuid::Uuid;

use super::Work;
use crate::{
    billing::{self, Rules},
    context::Context,
    crash::{self, Moment},
    db::billing::periods,
    queue::{self, Failure, Lease, Outcome},
};

/// Closed in one transaction, which locks as many accounts.
const BATCH_MAX: usize = 500;
/// So many of them are closed at a time: one uses half of a small machine.
const AT_ONCE: usize = 4;
/// Read at once: many batches, for at the end of each page the slowest is waited for.
const PAGE: usize = 20 * BATCH_MAX;

impl Work for CloseDuePeriods {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let rules = Rules::of(ctx);
        let ended_before = now - rules.settles_for;
        let begun = begin_those_without(ctx, lease).await?;
        let (mut after, mut closed) = (None, 0);
        loop {
            let mut conn = ctx.pools.work.acquire().await?;
            let mut ended = periods::ended(&mut conn, ended_before, after, PAGE as i64).await?;
            drop(conn);
            let Some((ends_at, period_id, _)) = ended.last() else {
                break;
            };
            after = Some((*ends_at, *period_id));
            closed += ended.len();
            // Those of one account together: their batches would wait for each other.
            ended.sort_by(|one, other| one.2.cmp(&other.2));
            let batches = ended.chunks(BATCH_MAX);
            let closing: Vec<_> = batches
                .map(|batch| close(ctx, lease, rules, batch))
                .collect();
            stream::iter(closing)
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
        }
        Ok(match begun + closed {
            0 => Outcome::Skipped("no period is over".into()),
            _ => Outcome::Done,
        })
    }
}

/// Close these periods, given with their accounts.
async fn close(
    ctx: &Context,
    lease: &Lease,
    rules: Rules<'_>,
    ended: &[(DateTime<Utc>, Uuid, String)],
) -> Result<(), Failure> {
    let ids: Vec<Uuid> = ended.iter().map(|(_, period_id, _)| *period_id).collect();
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let done = billing::close(&mut tx, rules, &ids, ctx.clock.now()).await?;
    // What has to wait for an answer of Stripe's waits in a job of its own.
    let waiting = done.asking.iter().map(|(period_id, _)| {
        let job = NewJob::of(&ClosePeriod {
            period_id: *period_id,
        });
        let of = ended.iter().find(|(_, id, _)| id == period_id);
        job.of_account(of.map(|(.., account_id)| account_id.clone()))
    });
    queue::enqueue_all(&mut tx, &waiting.collect::<Vec<_>>()).await?;
    tx.commit().await?;
    ctx.wake.ring();
    crash::point(Moment::Done, "periods are closed");
    Ok(())
}

/// Ask for the periods of accounts that have none.
async fn begin_those_without(ctx: &Context, lease: &Lease) -> Result<usize, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let accounts = periods::accounts_without(&mut tx, BATCH_MAX as i64).await?;
    let jobs = accounts
        .into_iter()
        .map(|account_id| NewJob::of(&OpenPeriod { account_id }));
    let jobs: Vec<NewJob> = jobs.collect();
    queue::enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(jobs.len())
}
