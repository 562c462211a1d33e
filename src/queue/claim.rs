//! Taking jobs: fairly over accounts, within the caps, and only what this program knows how to do.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{
    Row,
    postgres::{PgRow, types::PgInterval},
};
use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::Lane;
use uuid::Uuid;

use super::lease::Lease;
use crate::clock::Clock;
use crate::db::Kept;

/// What it takes and how is written there: migration 0036.
const CLAIM: &str = "select * from queue.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

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
    /// Its last run ended with its worker: perhaps it was the cause.
    pub is_suspect: bool,
    /// By the monotonic clock of this process.
    pub claimed_at: Instant,
}

/// What a claim took.
pub(super) struct Claims {
    pub jobs: Vec<Claimed>,
    /// Where the next one begins.
    pub next: Place,
    /// A suspect waits to be taken by itself.
    pub is_suspect_ready: bool,
}

/// Where in a lane the next claim begins: behind this job of this account.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    account_id: String,
    /// The negated priority: the order of the index is ascending throughout.
    urgency: i16,
    run_at: DateTime<Utc>,
    id: Uuid,
}

impl Place {
    /// Before every job of every account.
    pub const FIRST: Place = Place {
        account_id: String::new(),
        urgency: i16::MIN,
        run_at: DateTime::UNIX_EPOCH,
        id: Uuid::nil(),
    };

    pub fn is_inside_account(&self) -> bool {
        !self.id.is_nil()
    }

    /// Where a claim of so many ended, by its answer.
    fn after(rows: &[PgRow], want: usize) -> sqlx::Result<Place> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(Place::FIRST);
        };
        let visited: i64 = first.try_get("visited")?;
        let account_id: Option<String> = first.try_get("last_account")?;
        // A claim that took nothing answers one row all the same.
        let took_all = rows.len() >= want && last.try_get::<Option<Uuid>, _>("id")?.is_some();
        match account_id {
            // One account alone filled the claim: there may be more of it.
            Some(account_id) if visited == 1 && took_all => Ok(Place {
                account_id,
                urgency: -last.try_get::<i16, _>("priority")?,
                run_at: last.try_get("run_at")?,
                id: last.try_get("id")?,
            }),
            // The smallest text behind the account just visited.
            Some(account_id) if visited >= want as i64 => Ok(Place {
                account_id: account_id + "\u{1}",
                ..Place::FIRST
            }),
            _ => Ok(Place::FIRST),
        }
    }
}

/// What every claim of a process has in common.
#[derive(Debug, Clone)]
pub(super) struct Claimant {
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
    /// Take up to `want` jobs that are due, one account after the other from the place on.
    pub async fn claim(&self, kept: &mut Kept, want: usize, place: &Place) -> sqlx::Result<Claims> {
        let asked_at = Clock::instant();
        let rows = self.take(kept, want, place, false).await?;
        Ok(Claims {
            next: Place::after(&rows, want)?,
            is_suspect_ready: rows
                .first()
                .map_or(Ok(false), |row| row.try_get("is_suspect_ready"))?,
            jobs: self.claimed(&rows, asked_at)?,
        })
    }

    /// Take one suspect, or, if there is none any more, one other job.
    pub async fn claim_suspect(&self, kept: &mut Kept) -> sqlx::Result<Vec<Claimed>> {
        let asked_at = Clock::instant();
        let rows = self.take(kept, 1, &Place::FIRST, true).await?;
        self.claimed(&rows, asked_at)
    }

    async fn take(
        &self,
        kept: &mut Kept,
        want: usize,
        place: &Place,
        suspect: bool,
    ) -> sqlx::Result<Vec<PgRow>> {
        let mut conn = kept.take().await?;
        let rows = sqlx::query(CLAIM)
            .bind(self.lane.as_str())
            .bind(want as i64)
            .bind(place.account_id.as_str())
            .bind(place.urgency)
            .bind(place.run_at)
            .bind(place.id)
            .bind(self.account_max as i64)
            .bind(interval(self.lease))
            .bind(&*self.worker)
            .bind(&*self.kinds)
            .bind(suspect)
            .bind(Uuid::new_v4())
            .fetch_all(&mut *conn)
            .await?;
        kept.keep(conn);
        Ok(rows)
    }

    fn claimed(&self, rows: &[PgRow], asked_at: Instant) -> sqlx::Result<Vec<Claimed>> {
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
                    is_suspect: row.try_get::<i32, _>("crashes")? > 0,
                    claimed_at: asked_at,
                })
            })
            .collect()
    }
}

pub(super) fn interval(duration: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: duration.as_micros().min(i64::MAX as u128) as i64,
    }
}
