//! What a run holds while it works: the right to write, for a limited time.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex},
    time::Instant,
};

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::Clock,
    crash::{self, Moment},
    db,
};

/// The claim of one run on one job. Every write that decides names it; when it is lost, only
/// what a provider did is still recorded (`journal`).
#[derive(Debug, Clone)]
pub struct Lease {
    pub job_id: Uuid,
    /// Counts the claims of the job; with `token` it tells this run from every other.
    pub attempt: i32,
    /// Of the claim: all jobs that were taken together have the same.
    pub token: Uuid,
    /// Cancelled when the lease is lost.
    pub lost: CancellationToken,
    /// Until when it surely holds, by this process' monotonic clock.
    pub(super) holds_until: Arc<Mutex<Instant>>,
}

/// Another run took over, or an operator cancelled: this one must stop and write nothing.
#[derive(Debug, thiserror::Error)]
#[error("the lease of job {0} is lost")]
pub struct LeaseLost(pub Uuid);

impl Lease {
    /// Whether an outside effect may still begin. Asked right before every provider call.
    pub fn is_held(&self) -> bool {
        let until = *self
            .holds_until
            .lock()
            .expect("the lock is never held across a panic");
        !self.lost.is_cancelled() && Clock::instant() < until
    }

    /// A write of this run was refused: it is told to stop, and the refusal is counted and logged.
    pub(super) fn refused(&self, write: &'static str) {
        self.lost.cancel();
        metrics::counter!("tollkeeper_stale_writes_refused_total", "write" => write).increment(1);
        tracing::warn!(
            job.id = %self.job_id, attempt = self.attempt, write,
            "a run that no longer holds its job was refused"
        );
    }

    pub(super) fn renewed_until(&self, until: Instant) {
        *self
            .holds_until
            .lock()
            .expect("the lock is never held across a panic") = until;
    }

    /// Begin a transaction in which the run may write: the lease cannot pass to another run before it
    /// ends.
    pub async fn begin(&self, pool: &PgPool) -> Result<Fenced, HoldError> {
        let mut tx = db::begin(pool).await?;
        self.hold(&mut tx).await?;
        Ok(Fenced { tx })
    }

    /// Lock the job's row, which names this run.
    ///
    /// `for key share` is enough: whatever takes a running job away locks its row `for update`
    /// first. And it lets [`super::enqueue`] mark the job to run again: a run that waits for its
    /// account would otherwise lock out the one that has the account and asks for this very job.
    async fn hold(&self, tx: &mut PgConnection) -> Result<(), HoldError> {
        let held: Option<i32> = sqlx::query_scalar("select queue.hold($1, $2, $3)")
            .bind(self.job_id)
            .bind(self.attempt)
            .bind(self.token)
            .fetch_one(tx)
            .await?;
        match held {
            Some(_) => Ok(()),
            None => {
                self.refused("effect");
                Err(HoldError::Lost(LeaseLost(self.job_id)))
            }
        }
    }
}

/// The transaction in which a run decides. Dropped, it is rolled back.
pub struct Fenced {
    tx: Transaction<'static, Postgres>,
}

impl Fenced {
    #[track_caller]
    pub fn commit(self) -> impl Future<Output = sqlx::Result<()>> {
        let place = crash::place();
        async move {
            crash::point(Moment::BeforeCommit, place);
            self.tx.commit().await?;
            crash::point(Moment::Committed, place);
            Ok(())
        }
    }
}

impl Deref for Fenced {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Fenced {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}
