//! One lane of the queue as an apalis backend.
//!
//! A fetching task of its own claims exactly as many jobs as there are free slots; apalis only
//! takes what was claimed, so nothing time-critical depends on how often a worker is polled.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis_core::{
    backend::{Backend, BackendConfig},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    ack::AckLayer,
    claim::{Claimant, Claimed, Place},
    ready_lanes::ReadyLanes,
    suspects::{Alone, Suspects},
};
use crate::{clock::Clock, db::Kept};

const BATCH_MAX: usize = 500;
/// How long a busy lane goes on before it looks at the first account again.
const ANEW_AFTER: Duration = Duration::from_millis(100);

/// A claimed job with the slot it runs in. The slot is free again when the last copy is dropped,
/// which is after its end is written.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub claimed: Arc<Claimed>,
    _slot: Arc<OwnedSemaphorePermit>,
    _alone: Option<Arc<DropGuard>>,
}

/// What the fetching task of a lane needs.
pub(super) struct Fetcher {
    pub pool: PgPool,
    pub claimant: Claimant,
    pub slots: usize,
    pub suspects: Suspects,
    pub ready: ReadyLanes,
    pub stop: CancellationToken,
}

pub struct LaneQueue {
    tickets: mpsc::Receiver<Ticket>,
    ack: AckLayer,
}

impl LaneQueue {
    pub(super) fn spawn(fetcher: Fetcher, ack: AckLayer, fetching: &TaskTracker) -> LaneQueue {
        let (out, tickets) = mpsc::channel(fetcher.slots.max(1));
        fetching.spawn(fetcher.run(out));
        LaneQueue { tickets, ack }
    }
}

impl Fetcher {
    async fn run(self, out: mpsc::Sender<Ticket>) {
        let slots = Arc::new(Semaphore::new(self.slots));
        let mut kept = Kept::new(self.pool.clone());
        let mut round = Round::new();
        loop {
            if slots.available_permits() == 0 {
                kept.give_back();
            }
            let slot = self.stop.run_until_cancelled(slots.clone().acquire_owned());
            let Some(Ok(slot)) = slot.await else { return };
            let mut free = vec![slot];
            while free.len() < BATCH_MAX
                && let Ok(slot) = slots.clone().try_acquire_owned()
            {
                free.push(slot);
            }
            // From here on: what is stored while the claim runs is not slept over.
            let heard = self.ready.heard(self.claimant.lane);
            let is_mid_round = round.is_on();
            let wants_alone = std::mem::take(&mut round.is_suspect_ready);
            let alone = match wants_alone {
                true => self.suspects.alone().await,
                false => None,
            };
            let claimed = match alone {
                Some(_) => self.claimant.claim_suspect(&mut kept).await,
                None => self.claim(&mut kept, free.len(), &mut round).await,
            };
            match claimed {
                Ok(claimed)
                    if claimed.is_empty() && !is_mid_round && !round.is_news(wants_alone) => {}
                Ok(claimed) => {
                    self.ready.took();
                    if !self.hand_out(claimed, free, alone, &out).await {
                        return;
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, lane = %self.claimant.lane, "cannot claim jobs; trying again")
                }
            }
            drop((free, alone));
            kept.give_back();
            if self.stop.run_until_cancelled(heard).await.is_none() {
                return;
            }
        }
    }

    async fn claim(
        &self,
        kept: &mut Kept,
        want: usize,
        round: &mut Round,
    ) -> sqlx::Result<Vec<Claimed>> {
        let _nobody = self.suspects.nobody_is_alone().await;
        let is_mid_round = round.begin();
        let claims = self.claimant.claim(kept, want, &round.place).await;
        round.end(is_mid_round);
        let claims = claims?;
        round.place = claims.next;
        round.is_suspect_ready = claims.is_suspect_ready;
        Ok(claims.jobs)
    }

    /// Give jobs to the worker, each with its slot. False: there is no worker any more.
    async fn hand_out(
        &self,
        claimed: Vec<Claimed>,
        free: Vec<OwnedSemaphorePermit>,
        mut alone: Option<Alone>,
        out: &mpsc::Sender<Ticket>,
    ) -> bool {
        for (claimed, slot) in claimed.into_iter().zip(free) {
            let alone = alone.take_if(|_| claimed.is_suspect);
            let ticket = Ticket {
                claimed: Arc::new(claimed),
                _slot: Arc::new(slot),
                _alone: alone.map(|alone| Arc::new(self.suspects.runs(alone))),
            };
            if out.send(ticket).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// One walk of a lane through its accounts. A claim goes on where the last one ended; what became ready
/// before that place is found when the walk begins anew.
struct Round {
    place: Place,
    is_suspect_ready: bool,
    claim_began: Instant,
    anew_at: Instant,
}

impl Round {
    fn new() -> Round {
        let now = Clock::instant();
        Round {
            place: Place::FIRST,
            is_suspect_ready: false,
            claim_began: now,
            anew_at: now,
        }
    }

    /// A claim begins. Whether it goes on with the walk.
    fn begin(&mut self) -> bool {
        self.claim_began = Clock::instant();
        // Between two accounts it goes on to the last one: they take turns.
        if self.place.is_inside_account() && self.claim_began >= self.anew_at {
            self.place = Place::FIRST;
        }
        self.is_on()
    }

    /// Whether a suspect waits that was not tried for just now.
    fn is_news(&self, was_tried_for: bool) -> bool {
        self.is_suspect_ready && !was_tried_for
    }

    /// Whether the next claim goes on with the walk.
    fn is_on(&self) -> bool {
        self.place != Place::FIRST
    }

    /// It has ended. A first step may have had to walk over many dead entries, as it does while somebody's
    /// long transaction keeps them: the longer it took, the later the next one.
    fn end(&mut self, is_mid_round: bool) {
        if !is_mid_round {
            let now = Clock::instant();
            self.anew_at = now + ((now - self.claim_began) * 10).max(ANEW_AFTER);
        }
    }
}

impl Backend for LaneQueue {
    type Task = Task<Ticket>;
    /// Database errors never end a worker: every task beneath tries again by itself.
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Ticket>, Infallible>>> {
        self.tickets
            .poll_recv(cx)
            .map(|ticket| ticket.map(|ticket| Ok(task(ticket))))
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

fn task(ticket: Ticket) -> Task<Ticket> {
    // Unique per run: apalis refuses two tasks of one id, and a job may come back while the run
    // that lost it is still being stopped.
    let lease = &ticket.claimed.lease;
    let id = TaskId::from_string(format!("{}.{}", lease.job_id, lease.attempt));
    TaskBuilder::new(ticket).task_id(id).build()
}

impl BackendConfig for LaneQueue {
    type Args = Ticket;
    type Id = String;
    type Kind = apalis_core::backend::finalize::Ephemeral;
    type Config = ();
    type Layer = AckLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> AckLayer {
        self.ack.clone()
    }
}
