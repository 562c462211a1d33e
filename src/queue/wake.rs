//! Waking idle workers: a hint that saves them the rest of a poll interval, never needed.
//!
//! Inside the process it is a signal. To other processes it is one NOTIFY, sent outside of every
//! transaction that stores jobs and at most ten times a second: a NOTIFY takes a lock that all
//! committing transactions of the database share.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::sync::{Notify, futures::Notified};
use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::Lane;

use super::ready_lanes::of_ready_lanes;

/// A message on it names the lanes that have something ready, with a space between two.
pub(super) const CHANNEL: &str = "tollkeeper_jobs";
const TOLD_EVERY: Duration = Duration::from_millis(100);

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
    pub(super) fn heard(&self) -> Notified<'_> {
        self.here.notified()
    }

    /// Pass rings on to the other processes, with the lanes they are for: nobody there need look.
    pub async fn tell_others(self, pool: PgPool, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.elsewhere.notified())
            .await
            .is_some()
        {
            // A hint waits for no disk and no standby: the shared lock is held until its commit is done.
            let hint = of_ready_lanes!(
                "select set_config('synchronous_commit', 'off', true), pg_notify($2, string_agg(name, ' '))",
                "having count(*) > 0"
            );
            let told = sqlx::query(hint)
                .bind(Lane::ALL.map(Lane::as_str))
                .bind(CHANNEL)
                .execute(&pool);
            if let Err(error) = told.await {
                tracing::debug!(%error, "cannot wake other processes; they poll");
            }
            tokio::time::sleep(TOLD_EVERY).await;
        }
    }
}
