//! What keeps the queue moving: due jobs become ready, runs whose worker is gone are taken back.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::{
    claim::interval,
    contact::{grace, is_too_late},
};
use crate::{
    clock::Clock,
    context::Context,
    crash::{self, Moment},
};

/// A job that took its worker down this often is poison.
pub const CRASHES_MAX: i32 = 3;
const PROMOTE_EVERY: Duration = Duration::from_millis(100);
/// A dead worker's jobs run again within its lease and two seconds, one after the other if need be.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
const BATCH_MAX: i64 = 1000;

/// Run both for ever, in every worker process: a sweep that itself had to wait for a worker could
/// not free the slots of dead ones. They take different rows, so any number of them may run.
pub(super) async fn keep_moving(ctx: Context, stop: CancellationToken) {
    let lease = ctx.config.worker.lease;
    let mut sweep_at = Clock::instant();
    while stop
        .run_until_cancelled(tokio::time::sleep(PROMOTE_EVERY))
        .await
        .is_some()
    {
        let asked_at = Clock::instant();
        let mut moved = promote_due(&ctx.pools.queue, &ctx.clock).await;
        // Kept waiting for so long, it answers at last: whoever held a job could not renew either.
        if moved.is_err() || is_too_late(asked_at.elapsed(), lease) {
            ctx.contact.lost();
        }
        if moved.is_ok() {
            ctx.contact.answered(Clock::instant());
        }
        if moved.is_ok() && Clock::instant() >= sweep_at {
            let begun = Clock::instant();
            moved = moved.and(sweep_when_steady(&ctx).await);
            // It walks over the dead entries of all runs that somebody's long transaction keeps.
            sweep_at = begun + (begun.elapsed() * 10).max(SWEEP_EVERY);
        }
        match moved {
            Ok(0) => {}
            Ok(_) => ctx.wake.ring(),
            Err(error) => tracing::warn!(%error, "cannot move due jobs; trying again"),
        }
    }
}

async fn sweep_when_steady(ctx: &Context) -> sqlx::Result<u64> {
    let mut conn = ctx.pools.queue.acquire().await?;
    sweep_expired(&mut conn, ctx).await
}

/// Waiting jobs whose time has come become ready. Answers how many.
async fn promote_due(pool: &PgPool, clock: &Clock) -> sqlx::Result<u64> {
    // The service's clock may be ahead of the database's: a test or a simulation moved it.
    let ahead = clock.offset().to_std().unwrap_or_default();
    let promoted = sqlx::query(
        "update queue.jobs set state = 'ready'
         where id = any(array(select id from queue.jobs where state = 'waiting' and run_at <= now() + $1
                              order by run_at limit $2 for update skip locked))",
    )
    .bind(interval(ahead))
    .bind(BATCH_MAX)
    .execute(pool)
    .await?;
    if promoted.rows_affected() > 0 {
        crash::point(Moment::Promoted, "");
    }
    Ok(promoted.rows_affected())
}

/// Take back the runs whose lease has run out: ready again at once, a crash charged, not a failure;
/// dead with its reason after [`CRASHES_MAX`]. A run that never passed its start gate did nothing
/// and is charged nothing. Answers how many runs were taken back.
///
/// A Postgres that has just started, or that this process has just found again, leaves living workers
/// half a lease to renew first: they could not while it was away, and an outage is no crash of theirs.
pub async fn sweep_expired(conn: &mut PgConnection, ctx: &Context) -> sqlx::Result<u64> {
    let lease = ctx.config.worker.lease;
    if !ctx.contact.is_steady(lease, Clock::instant()) {
        return Ok(0);
    }
    let swept = sqlx::query(
        "with expired as materialized (
             select id, attempt, account_id, worker, claimed_at, started_at, crashes, again,
                    crashes + case when started_at is null then 0 else 1 end as crashed
             from queue.jobs where state = 'running' and lease_until < now()
               and pg_postmaster_start_time() < now() - $3
             order by id limit $1 for update skip locked
         ),
         remembered as (
             insert into queue.job_attempts (job_id, attempt, account_id, worker, started_at, finished_at, outcome, error)
             select id, attempt, account_id, worker, coalesce(started_at, claimed_at), now(), 'crash',
                    'the lease ran out: the worker died, hung or lost the database'
             from expired
         )
         update queue.jobs job
         set state = case when expired.crashed >= $2 and not expired.again then 'dead' else 'ready' end,
             -- Asked for again while it ran: the newer wish begins anew.
             crashes = case when expired.crashed >= $2 and expired.again then 0 else expired.crashed end,
             failures = case when expired.crashed >= $2 and expired.again then 0 else job.failures end,
             again = false,
             note = case when expired.crashed >= $2
                         then 'its worker did not survive it ' || expired.crashed || ' times' else job.note end,
             lease_token = null, lease_until = null
         from expired where job.id = expired.id",
    )
    .bind(BATCH_MAX)
    .bind(CRASHES_MAX)
    .bind(interval(grace(lease)))
    .execute(conn)
    .await?;
    if swept.rows_affected() > 0 {
        crash::point(Moment::Swept, "");
    }
    Ok(swept.rows_affected())
}

/// Give claimed jobs back without charging them anything: the process ends.
pub(super) async fn give_back(pool: &PgPool, worker: &str) -> sqlx::Result<u64> {
    crash::point(Moment::BeforeGivenBack, "");
    let given = sqlx::query(
        "with mine as materialized (
             select id, attempt, account_id, worker, claimed_at, started_at from queue.jobs
             where state = 'running' and worker = $1 order by kind, key for update
         ),
         remembered as (
             insert into queue.job_attempts (job_id, attempt, account_id, worker, started_at, finished_at, outcome, error)
             select id, attempt, account_id, worker, coalesce(started_at, claimed_at), now(), 'given_back',
                    'the worker was told to stop' from mine
         )
         update queue.jobs job set state = 'ready', lease_token = null, lease_until = null
         from mine where job.id = mine.id",
    )
    .bind(worker)
    .execute(pool)
    .await?;
    crash::point(Moment::GivenBack, "");
    Ok(given.rows_affected())
}
