//! The jobs this process is running, and the renewal of their leases.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{claim::interval, contact::is_too_late, lease::Lease, runs::fences};
use crate::{clock::Clock, context::Context};

/// After a renewal that failed: the leases run on.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Every run enters itself while it works; only entered runs are renewed, so a run that hangs up,
/// panics or is given up stops holding its job.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    runs: Arc<Mutex<HashMap<RunId, Run>>>,
}

/// Job and token: a process may run a job anew while the run that lost it is still being stopped.
type RunId = (Uuid, Uuid);

fn id_of(lease: &Lease) -> RunId {
    (lease.job_id, lease.token)
}

#[derive(Debug)]
struct Run {
    lease: Lease,
    /// Its end is being written: until that is done it is renewed like the others.
    is_ending: bool,
}

/// Leaves on drop.
pub(super) struct Entry {
    held: Held,
    run: RunId,
}

impl Entry {
    /// From now on a renewal that finds the job gone may have come just after the run's own end.
    pub fn ends(&self) {
        if let Some(run) = self.held.lock().get_mut(&self.run) {
            run.is_ending = true;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.held.lock().remove(&self.run);
    }
}

impl Held {
    pub fn enter(&self, lease: &Lease) -> Entry {
        let run = Run {
            lease: lease.clone(),
            is_ending: false,
        };
        self.lock().insert(id_of(lease), run);
        Entry {
            held: self.clone(),
            run: id_of(lease),
        }
    }

    pub fn all(&self) -> Vec<Lease> {
        self.lock().values().map(|run| run.lease.clone()).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn is_at_work(&self, lease: &Lease) -> bool {
        self.lock()
            .get(&id_of(lease))
            .is_some_and(|run| !run.is_ending)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Run>> {
        self.runs
            .lock()
            .expect("the lock is never held across a panic")
    }

    /// Renew every held lease three times within its life, until told to stop; soon again what could
    /// not be renewed.
    pub async fn keep_renewed(self, ctx: Context, stop: CancellationToken) {
        let lease = ctx.config.worker.lease;
        let every = lease / 3;
        let mut pause = every;
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            let asked_at = Clock::instant();
            let renewed = self.renew(&ctx.pools.queue, lease).await;
            let took = asked_at.elapsed();
            if renewed.is_err() || is_too_late(took, lease) {
                ctx.contact.lost();
            }
            pause = match renewed {
                // One that was kept waiting is committed with an end that is near or past: the next at once.
                Ok(0) => every.saturating_sub(took),
                Ok(_) => every / 10,
                Err(error) => {
                    // Until it works again every lease runs towards its end, and no effect begins after.
                    tracing::warn!(%error, "cannot renew leases; trying again");
                    every.min(AGAIN_AFTER)
                }
            };
        }
    }

    /// Answers how many are still ours and could not be renewed.
    ///
    /// A row that somebody else has locked is passed over: an open transaction that asks for one job
    /// again must not hold up the leases of all the others. Nobody can take that job away meanwhile.
    async fn renew(&self, pool: &PgPool, lease: Duration) -> sqlx::Result<usize> {
        let leases = self.all();
        if leases.is_empty() {
            return Ok(0);
        }
        let asked_at = Clock::instant();
        let (ids, attempts, tokens) = fences(leases.iter());
        let ours: Vec<(i64, bool)> = sqlx::query_as(
            "with ours as materialized (
                 select a.*
                 from unnest($1::uuid[], $2::integer[], $3::uuid[]) with ordinality as a (id, attempt, token, place)
                 cross join lateral (
                     select from queue.jobs
                     where id = a.id and attempt = a.attempt and lease_token = a.token offset 0
                 ) job
             ),
             -- The weakest lock that does: a run in the middle of a transaction of its own is no hindrance.
             free as materialized (
                 select ours.id, ours.place
                 from ours
                 cross join lateral (
                     select from queue.jobs
                     where id = ours.id and attempt = ours.attempt and lease_token = ours.token
                     for no key update skip locked
                 ) job
             ),
             renewed as (
                 update queue.jobs set lease_until = now() + $4 where id = any(array(select id from free))
             )
             select place, place = any(array(select place from free)) from ours",
        )
        .bind(ids)
        .bind(attempts)
        .bind(tokens)
        .bind(interval(lease))
        .fetch_all(pool)
        .await?;
        let ours: HashMap<i64, bool> = ours.into_iter().collect();
        let mut passed_over = 0;
        for (lease_held, place) in leases.iter().zip(1..) {
            match ours.get(&place) {
                Some(true) => lease_held.renewed_until(asked_at + lease),
                Some(false) => passed_over += 1,
                // Still running here, and no longer ours: stop it before its next effect.
                None if self.is_at_work(lease_held) => lease_held.refused("renew"),
                None => {}
            }
        }
        Ok(passed_over)
    }
}
