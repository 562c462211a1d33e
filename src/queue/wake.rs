//! Waking idle workers: a hint that saves them the rest of a poll interval, never needed.
//!
//! Inside the process it is a signal. To other processes it is one NOTIFY, sent outside of every
//! transaction that stores jobs and at most ten times a second: a NOTIFY takes a lock that all
//! committing transactions of the database share.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::{Notify, futures::Notified};
use tokio_util::sync::CancellationToken;

const CHANNEL: &str = "tollkeeper_jobs";
const TOLD_EVERY: Duration = Duration::from_millis(100);
const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// Rung after a commit that stored jobs.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    here: Arc<Notify>,
    elsewhere: Arc<Notify>,
}

impl Wake {
    pub fn ring(&self) {
        self.ring_here();
        self.elsewhere.notify_one();
    }

    /// For what concerns this process alone.
    pub(super) fn ring_here(&self) {
        self.here.notify_waiters();
    }

    /// Hears every ring from the moment of this call on, not of the first poll.
    pub fn heard(&self) -> Notified<'_> {
        self.here.notified()
    }

    /// Pass rings on to the other processes.
    pub async fn tell_others(self, pool: PgPool, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.elsewhere.notified())
            .await
            .is_some()
        {
            // A hint waits for no disk and no standby: the shared lock is held until its commit is done.
            let hint = "select set_config('synchronous_commit', 'off', true), pg_notify($1, '')";
            if let Err(error) = sqlx::query(hint).bind(CHANNEL).execute(&pool).await {
                tracing::debug!(%error, "cannot wake other processes; they poll");
            }
            tokio::time::sleep(TOLD_EVERY).await;
        }
    }

    /// Hear the rings of other processes. Behind a transaction pooler nothing is heard: workers poll.
    pub async fn hear_others(self, pool: PgPool, stop: CancellationToken) {
        let _ = stop
            .run_until_cancelled(async {
                loop {
                    if let Err(error) = self.listen(&pool).await {
                        tracing::debug!(%error, "cannot listen for jobs; polling");
                    }
                    tokio::time::sleep(RECONNECT_AFTER).await;
                }
            })
            .await;
    }

    async fn listen(&self, pool: &PgPool) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            listener.recv().await?;
            self.here.notify_waiters();
        }
    }
}
