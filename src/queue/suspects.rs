//! Jobs whose last run ended with its worker. One of them was the cause, the others were only there.
//!
//! A process runs them one at a time and, as they begin, beside nothing else: the guilty one goes down
//! alone, and nobody is charged with its crashes but itself.

use std::{sync::Arc, time::Duration};

use tokio::sync::{
    OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, RwLockReadGuard, Semaphore,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{held::Held, wake::Wake};
use crate::clock::Clock;

/// How long a suspect waits for the runs of its process to end, and how long others then wait for it.
/// What kills its worker mostly does so at once; and one slow job must not stop all the others.
const ALONE_FOR: Duration = Duration::from_secs(1);
const LOOKED_EVERY: Duration = Duration::from_millis(5);

/// Shared by the lanes of a process.
#[derive(Debug, Clone)]
pub(super) struct Suspects {
    /// Read by every claim, written by who wants to be alone.
    claims: Arc<RwLock<()>>,
    room: Arc<Semaphore>,
    held: Held,
    lease: Duration,
    wake: Wake,
}

/// The right to run a suspect now: nothing is claimed beside it.
pub(super) struct Alone {
    claims: OwnedRwLockWriteGuard<()>,
    room: OwnedSemaphorePermit,
}

impl Suspects {
    pub fn new(held: Held, lease: Duration, wake: Wake) -> Suspects {
        Suspects {
            claims: Arc::default(),
            room: Arc::new(Semaphore::new(1)),
            held,
            lease,
            wake,
        }
    }

    /// Held during a claim.
    pub async fn nobody_is_alone(&self) -> RwLockReadGuard<'_, ()> {
        self.claims.read().await
    }

    /// Wait until this process runs nothing else, but not for long. None: it runs a suspect already.
    pub async fn alone(&self) -> Option<Alone> {
        let room = self.room.clone().try_acquire_owned().ok()?;
        let claims = self.claims.clone().write_owned().await;
        let since = Clock::instant();
        while !self.held.is_empty() && since.elapsed() < ALONE_FOR {
            tokio::time::sleep(LOOKED_EVERY).await;
        }
        Some(Alone { claims, room })
    }

    /// The suspect runs until the guard is dropped. One that is still alive after a while lets the others
    /// run; one that is after a lease is no suspect any more, and another may run.
    pub fn runs(&self, alone: Alone) -> DropGuard {
        let ended = CancellationToken::new();
        let (lease, wake, over) = (self.lease, self.wake.clone(), ended.clone());
        tokio::spawn(async move {
            let _ = over
                .run_until_cancelled(tokio::time::sleep(ALONE_FOR))
                .await;
            drop(alone.claims);
            let _ = over.run_until_cancelled(tokio::time::sleep(lease)).await;
            drop(alone.room);
            wake.ring_here();
        });
        ended.drop_guard()
    }
}
