//! The jobs this process is running, and the renewal of their leases.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{claim::interval, lease::Lease, runs::fences};
use crate::clock::Clock;

/// Every run enters itself while it works; only entered runs are renewed, so a run that hangs up,
/// panics or is given up stops holding its job.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    leases: Arc<Mutex<HashMap<Uuid, Lease>>>,
}

/// Leaves on drop.
pub(super) struct Entry {
    held: Held,
    token: Uuid,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.held.lock().remove(&self.token);
    }
}

impl Held {
    pub fn enter(&self, lease: &Lease) -> Entry {
        self.lock().insert(lease.token, lease.clone());
        Entry {
            held: self.clone(),
            token: lease.token,
        }
    }

    pub fn all(&self) -> Vec<Lease> {
        self.lock().values().cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Lease>> {
        self.leases
            .lock()
            .expect("the lock is never held across a panic")
    }

    /// Renew every held lease three times within its life, until told to stop.
    pub async fn keep_renewed(self, pool: PgPool, lease: Duration, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(lease / 3))
            .await
            .is_some()
        {
            if let Err(error) = self.renew(&pool, lease).await {
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
            } else if self.lock().contains_key(&lease_held.token) {
                // Still running here, and no longer ours: stop it before its next effect.
                lease_held.lost.cancel();
                metrics::counter!("tollkeeper_stale_writes_refused_total", "write" => "renew")
                    .increment(1);
            }
        }
        Ok(())
    }
}
