//! Taking jobs: fairly over accounts, within the caps, and only what this program knows how to do.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::{PgPool, Row, postgres::types::PgInterval};
use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::Lane;
use uuid::Uuid;

use super::lease::Lease;
use crate::clock::Clock;

/// A job this process may now run.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub lease: Lease,
    pub kind: String,
    pub key: String,
    pub account_id: String,
    pub version: i16,
    pub payload: Value,
    /// Failures before this run.
    pub failures: i32,
    /// By the monotonic clock of this process.
    pub claimed_at: Instant,
}

/// What every claim of a process has in common.
#[derive(Debug, Clone)]
pub(super) struct Claimant {
    pub pool: PgPool,
    pub lane: Lane,
    /// Unique per process start: a restarted worker is another worker.
    pub worker: Arc<str>,
    pub lease: Duration,
    /// At most so many jobs of one account at once in this lane.
    pub account_max: usize,
    /// The kinds this program knows. A job of another kind waits for a program that does.
    pub kinds: Arc<[String]>,
}

impl Claimant {
    /// Take up to `want` jobs that are due, one account after the other from `cursor` on.
    ///
    /// The cursor moves behind the last account that was looked at; an empty one begins anew.
    pub async fn claim(&self, want: usize, cursor: &mut String) -> sqlx::Result<Vec<Claimed>> {
        let asked_at = Clock::instant();
        // Claims of a lane take turns: two at once would both see the same room below a cap.
        let mut tx = self.pool.begin_with(lock_of(self.lane)).await?;
        let rows = sqlx::query(include_str!("claim.sql"))
            .bind(self.lane.as_str())
            .bind(want as i64)
            .bind(cursor.as_str())
            .bind(self.account_max as i64)
            .bind(interval(self.lease))
            .bind(&*self.worker)
            .bind(&*self.kinds)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;

        let visited: i64 = rows.first().map_or(Ok(0), |row| row.try_get("visited"))?;
        let last: Option<String> = rows
            .first()
            .map_or(Ok(None), |row| row.try_get("last_account"))?;
        *cursor = match last {
            // The smallest text behind the account just visited.
            Some(account_id) if visited >= want as i64 => account_id + "\u{1}",
            _ => String::new(),
        };
        let holds_until = asked_at + self.lease;
        rows.iter()
            .filter(|row| {
                !row.try_get::<Option<Uuid>, _>("id")
                    .is_ok_and(|id| id.is_none())
            })
            .map(|row| {
                Ok(Claimed {
                    lease: Lease {
                        job_id: row.try_get("id")?,
                        attempt: row.try_get("attempt")?,
                        token: row.try_get("lease_token")?,
                        lost: CancellationToken::new(),
                        holds_until: Arc::new(Mutex::new(holds_until)),
                    },
                    kind: row.try_get("kind")?,
                    key: row.try_get("key")?,
                    account_id: row.try_get("account_id")?,
                    version: row.try_get("version")?,
                    payload: row.try_get("payload")?,
                    failures: row.try_get("failures")?,
                    claimed_at: asked_at,
                })
            })
            .collect()
    }
}

/// Begins the transaction and waits for the lane's turn, in one round trip. A process that is stopped
/// or cut off here holds the turn of every worker: the server ends its session.
fn lock_of(lane: Lane) -> &'static str {
    match lane {
        Lane::Money => {
            "begin; set local idle_in_transaction_session_timeout = '5s'; set local lock_timeout = '10s'; select pg_advisory_xact_lock(7238113, 1)"
        }
        Lane::Voice => {
            "begin; set local idle_in_transaction_session_timeout = '5s'; set local lock_timeout = '10s'; select pg_advisory_xact_lock(7238113, 2)"
        }
        Lane::Default => {
            "begin; set local idle_in_transaction_session_timeout = '5s'; set local lock_timeout = '10s'; select pg_advisory_xact_lock(7238113, 3)"
        }
        Lane::Bulk => {
            "begin; set local idle_in_transaction_session_timeout = '5s'; set local lock_timeout = '10s'; select pg_advisory_xact_lock(7238113, 4)"
        }
    }
}

pub(super) fn interval(duration: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: duration.as_micros().min(i64::MAX as u128) as i64,
    }
}
