//! One lane of the queue as an apalis backend.
//!
//! A fetching task of its own claims exactly as many jobs as there are free slots; apalis only
//! takes what was claimed, so nothing time-critical depends on how often a worker is polled.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ack::AckLayer,
    claim::{Claimant, Claimed},
    wake::Wake,
};

const BATCH_MAX: usize = 200;
const POLL_MIN: Duration = Duration::from_millis(20);

/// A claimed job with the slot it runs in. The slot is free again when the last copy is dropped,
/// which is after its end is written.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub claimed: Arc<Claimed>,
    _slot: Arc<OwnedSemaphorePermit>,
}

/// What the fetching task of a lane needs.
pub(super) struct Fetcher {
    pub claimant: Claimant,
    pub slots: usize,
    pub poll_max: Duration,
    pub wake: Wake,
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
        let mut cursor = String::new();
        let mut pause = POLL_MIN;
        while let Some(Ok(slot)) = self
            .stop
            .run_until_cancelled(slots.clone().acquire_owned())
            .await
        {
            let mut free = vec![slot];
            while free.len() < BATCH_MAX
                && let Ok(slot) = slots.clone().try_acquire_owned()
            {
                free.push(slot);
            }
            // From here on: what is stored while the claim runs is not slept over.
            let heard = self.wake.heard();
            let is_mid_round = !cursor.is_empty();
            match self.claimant.claim(free.len(), &mut cursor).await {
                Ok(claimed) if claimed.is_empty() && !is_mid_round => {}
                Ok(claimed) => {
                    pause = POLL_MIN;
                    for (claimed, slot) in claimed.into_iter().zip(free) {
                        let ticket = Ticket {
                            claimed: Arc::new(claimed),
                            _slot: Arc::new(slot),
                        };
                        if out.send(ticket).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, lane = %self.claimant.lane, "cannot claim jobs; trying again")
                }
            }
            drop(free);
            tokio::select! {
                _ = heard => pause = POLL_MIN,
                _ = tokio::time::sleep(pause) => pause = (pause * 2).min(self.poll_max),
                _ = self.stop.cancelled() => {}
            }
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
