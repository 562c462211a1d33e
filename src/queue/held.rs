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
    runs: Arc<Mutex<HashMap<Uuid, Run>>>,
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
    token: Uuid,
}

impl Entry {
    /// From now on a renewal that finds the job gone may have come just after the run's own end.
    pub fn ends(&self) {
        if let Some(run) = self.held.lock().get_mut(&self.token) {
            run.is_ending = true;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.held.lock().remove(&self.token);
    }
}

impl Held {
    pub fn enter(&self, lease: &Lease) -> Entry {
        let run = Run {
            lease: lease.clone(),
            is_ending: false,
        };
        self.lock().insert(lease.token, run);
        Entry {
            held: self.clone(),
            token: lease.token,
        }
    }

    pub fn all(&self) -> Vec<Lease> {
        self.lock().values().map(|run| run.lease.clone()).collect()
    }

    fn is_at_work(&self, token: Uuid) -> bool {
        self.lock().get(&token).is_some_and(|run| !run.is_ending)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Run>> {
        self.runs
            .lock()
            .expect("the lock is never held across a panic")
    }

    /// Renew every held lease three times within its life, until told to stop.
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
            let renewed = self.renew(&ctx.pools.work, lease).await;
            let took = asked_at.elapsed();
            // One that was kept waiting is committed with an end that is near or past: the next at once.
            pause = every.saturating_sub(took);
            if renewed.is_err() || is_too_late(took, lease) {
                ctx.contact.lost();
            }
            if let Err(error) = renewed {
                pause = every.min(AGAIN_AFTER);
                // Until it works again every lease runs towards its end, and no effect begins after.
                tracing::warn!(%error, "cannot renew leases; trying again");
            }
        }
    }

    async fn renew(&self, pool: &PgPool, lease: Duration) -> sqlx::Result<()> {
        let batch: Vec<(Lease, ())> = self.all().into_iter().map(|lease| (lease, ())).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let asked_at = Clock::instant();
        let (ids, attempts, tokens) = fences(&batch);
        // The weakest lock that does: a run in the middle of a transaction must not hold up the rest.
        let renewed: Vec<Uuid> = sqlx::query_scalar(
            "with asked as (
                 select job.id from unnest($1::uuid[], $2::integer[], $3::uuid[]) as a (id, attempt, token)
                 join queue.jobs job on job.id = a.id and job.attempt = a.attempt and job.lease_token = a.token
                 where job.state = 'running'
                 order by job.id for no key update of job
             )
             update queue.jobs job set lease_until = now() + $4
             from asked where job.id = asked.id returning job.lease_token",
        )
        .bind(ids)
        .bind(attempts)
        .bind(tokens)
        .bind(interval(lease))
        .fetch_all(pool)
        .await?;
        for (lease_held, ()) in &batch {
            if renewed.contains(&lease_held.token) {
                lease_held.renewed_until(asked_at + lease);
            } else if self.is_at_work(lease_held.token) {
                // Still running here, and no longer ours: stop it before its next effect.
                lease_held.refused("renew");
            }
        }
        Ok(())
    }
}
