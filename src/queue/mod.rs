//! Our job store and the apalis backend over it.
//!
//! Stored by [`enqueue`] in the caller's transaction, taken by `claim`, kept by `held`, ended by
//! `runs`; `upkeep` takes back what a dead worker held. Operators act through [`operate`].

mod ack;
mod backend;
mod claim;
mod contact;
mod enqueue;
mod gauges;
mod held;
pub mod history;
mod lease;
pub mod look;
pub mod operate;
mod ready_lanes;
mod runs;
mod suspects;
pub mod timetable;
pub mod upkeep;
mod verdict;
mod wake;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tollkeeper_jobs::{Lane, RetryPolicy};

pub use backend::{LaneQueue, Ticket};
pub use claim::Claimed;
pub use contact::Contact;
pub use enqueue::{Enqueued, enqueue, enqueue_all};
pub use lease::{Fenced, HoldError, Lease, LeaseLost};
pub use verdict::{Failure, Outcome};
pub use wake::Wake;

use crate::context::Context;
use ack::{Ack, AckLayer};
use backend::Fetcher;
use claim::Claimant;
use held::Held;
use ready_lanes::ReadyLanes;
use runs::Runs;
use suspects::Suspects;

/// For this part of its lease a claim needs no second look.
const FRESH_PART: u32 = 20;

/// The queue as one worker process uses it.
pub struct Queue {
    ctx: Context,
    worker: Arc<str>,
    kinds: Arc<[String]>,
    ack: AckLayer,
    held: Held,
    runs: Runs,
    suspects: Suspects,
    ready: ReadyLanes,
    /// Ends the claiming.
    stop: CancellationToken,
    /// Ends the renewals, the sweeps and the waking, after the last run.
    closed: CancellationToken,
    tasks: TaskTracker,
    fetching: TaskTracker,
}

impl Queue {
    /// Start what a worker process needs beside its workers. `policies` are the kinds it knows.
    pub fn open(
        ctx: &Context,
        policies: HashMap<&'static str, RetryPolicy>,
        stop: CancellationToken,
    ) -> Queue {
        let settings = &ctx.config.worker;
        let pool = ctx.pools.queue.clone();
        let (held, closed, tasks) = (
            Held::default(),
            CancellationToken::new(),
            TaskTracker::new(),
        );
        let runs = Runs::spawn(pool.clone());
        tasks.spawn(held.clone().keep_renewed(ctx.clone(), closed.clone()));
        tasks.spawn(upkeep::keep_moving(ctx.clone(), closed.clone()));
        let ready = ReadyLanes::default();
        tasks.spawn(ready.clone().keep_listening(pool.clone(), closed.clone()));
        tasks.spawn(ready.clone().keep_looking(
            pool,
            ctx.wake.clone(),
            settings.poll_max,
            closed.clone(),
        ));
        tasks.spawn(gauges::keep_measured(
            ctx.pools.console.clone(),
            closed.clone(),
        ));
        let kinds = policies.keys().map(|kind| kind.to_string()).collect();
        let ack = AckLayer {
            ack: Arc::new(Ack {
                runs: runs.clone(),
                held: held.clone(),
                clock: ctx.clock.clone(),
                policies,
                backoff_scale: settings.backoff_scale,
            }),
        };
        let suspects = Suspects::new(held.clone(), settings.lease, ctx.wake.clone());
        Queue {
            ctx: ctx.clone(),
            worker: worker_name(),
            kinds,
            ack,
            held,
            runs,
            suspects,
            ready,
            stop,
            closed,
            tasks,
            fetching: TaskTracker::new(),
        }
    }

    /// Unique for this process start: a restarted worker is another worker.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// One lane as a backend with so many slots.
    pub fn lane(&self, lane: Lane, slots: usize) -> LaneQueue {
        let settings = &self.ctx.config.worker;
        let claimant = Claimant {
            lane,
            worker: self.worker.clone(),
            lease: settings.lease,
            account_max: settings.account_max,
            kinds: self.kinds.clone(),
        };
        let fetcher = Fetcher {
            pool: self.ctx.pools.queue.clone(),
            claimant,
            slots,
            suspects: self.suspects.clone(),
            ready: self.ready.clone(),
            stop: self.stop.clone(),
        };
        LaneQueue::spawn(fetcher, self.ack.clone(), &self.fetching)
    }

    /// The start gate of a run: whether it may begin.
    pub fn gate(&self) -> Gate {
        Gate {
            runs: self.runs.clone(),
            fresh_for: self.ctx.config.worker.lease / FRESH_PART,
        }
    }

    /// Tell every run that it has lost its job: none begins another effect.
    pub fn stop_runs(&self) {
        for lease in self.held.all() {
            lease.lost.cancel();
        }
    }

    /// Give every claimed job back, uncharged.
    pub async fn close(self) {
        // The last claims first: one that is committed after the rest was given back would keep its
        // jobs until their leases run out.
        self.stop.cancel();
        self.fetching.close();
        self.fetching.wait().await;
        self.stop_runs();
        match upkeep::give_back(&self.ctx.pools.queue, &self.worker).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "gave claimed jobs back"),
            Err(error) => tracing::warn!(%error, "cannot give jobs back; their leases run out"),
        }
        self.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Opens only for the run that holds its job.
#[derive(Clone)]
pub struct Gate {
    runs: Runs,
    fresh_for: Duration,
}

impl Gate {
    /// The first thing a run does, before any effect.
    ///
    /// A claim that was asked for this very moment is answer enough: what takes the job away after it could do
    /// so right behind the gate as well. A run that waited for its turn, or whose process was stopped in
    /// between, asks whether its claim still stands; and the start of a suspect is always written.
    pub async fn pass(&self, claimed: &Claimed) -> Result<(), LeaseLost> {
        let is_fresh = claimed.claimed_at.elapsed() < self.fresh_for;
        if is_fresh && !claimed.is_suspect || self.runs.start(&claimed.lease).await {
            Ok(())
        } else {
            Err(LeaseLost(claimed.lease.job_id))
        }
    }
}

fn worker_name() -> Arc<str> {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!(
        "{}:{}:{}",
        host.trim(),
        std::process::id(),
        uuid::Uuid::now_v7()
    )
    .into()
}
