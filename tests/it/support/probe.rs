//! A job that does what a test tells it to, and remembers that it did.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tollkeeper::{
    context::Context,
    queue::{Failure, Lease, LeaseLost, Outcome},
    work::Work,
    worker::Register,
};
use tollkeeper_jobs::{Job, RetryPolicy};
use uuid::Uuid;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Probe {
    /// Tells the tests of one program apart.
    pub test: Uuid,
    pub name: String,
    pub account_id: Option<String>,
    pub does: Does,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Does {
    Nothing,
    Fail {
        times: usize,
    },
    Panic {
        times: usize,
    },
    Wait {
        times: usize,
    },
    /// A provider wants to be left alone for so long, each time.
    WaitFor(Duration),
    /// Ends as a run does whose own clock says that its lease may have run out.
    LoseTrack {
        times: usize,
    },
    Later(DateTime<Utc>),
    Stop,
    /// Until the test lets it go on.
    Block,
    /// Waits for the test, then fails.
    BlockThenFail,
    /// Waits for the test, then wants to run at that time.
    BlockThenLater(DateTime<Utc>),
    /// Waits for the test, then writes under its lease.
    BlockThenWrite,
}

#[derive(Default)]
struct Seen {
    started: Vec<String>,
    ended: usize,
    now: usize,
    most: usize,
}

static SEEN: LazyLock<Mutex<HashMap<Uuid, Seen>>> = LazyLock::new(Mutex::default);
static GATES: LazyLock<Mutex<HashMap<Uuid, &'static Semaphore>>> = LazyLock::new(Mutex::default);

impl Probe {
    pub fn new(test: Uuid, name: &str, does: Does) -> Probe {
        Probe {
            test,
            name: name.into(),
            account_id: None,
            does,
        }
    }

    pub fn of(self, account_id: &str) -> Probe {
        Probe {
            account_id: Some(account_id.into()),
            ..self
        }
    }
}

/// A worker that knows this one job.
pub fn probes() -> Register {
    Register::default().with::<Probe>()
}

/// The names of the runs of a test, in the order they started.
pub fn started(test: Uuid) -> Vec<String> {
    SEEN.lock()
        .unwrap()
        .get(&test)
        .map(|seen| seen.started.clone())
        .unwrap_or_default()
}

/// How many runs of a test ended of themselves.
pub fn ended(test: Uuid) -> usize {
    SEEN.lock().unwrap().get(&test).map_or(0, |seen| seen.ended)
}

/// How many runs of a test are under way.
pub fn now(test: Uuid) -> usize {
    SEEN.lock().unwrap().get(&test).map_or(0, |seen| seen.now)
}

/// The most runs of a test that were under way at once.
pub fn most_at_once(test: Uuid) -> usize {
    SEEN.lock().unwrap().get(&test).map_or(0, |seen| seen.most)
}

/// Let so many blocked runs go on.
pub fn let_go(test: Uuid, runs: usize) {
    gate(test).add_permits(runs);
}

fn gate(test: Uuid) -> &'static Semaphore {
    GATES
        .lock()
        .unwrap()
        .entry(test)
        .or_insert_with(|| Box::leak(Box::new(Semaphore::new(0))))
}

struct UnderWay(Uuid);

impl Drop for UnderWay {
    fn drop(&mut self) {
        SEEN.lock().unwrap().get_mut(&self.0).unwrap().now -= 1;
    }
}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 3,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };

    fn key(&self) -> String {
        self.name.clone()
    }

    fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref()
    }
}

impl Work for Probe {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let runs = {
            let mut seen = SEEN.lock().unwrap();
            let seen = seen.entry(self.test).or_default();
            seen.started.push(self.name.clone());
            seen.now += 1;
            seen.most = seen.most.max(seen.now);
            seen.started
                .iter()
                .filter(|name| **name == self.name)
                .count()
        };
        let under_way = UnderWay(self.test);
        let outcome = self.act(ctx, lease, runs).await;
        drop(under_way);
        SEEN.lock().unwrap().get_mut(&self.test).unwrap().ended += 1;
        outcome
    }
}

impl Probe {
    async fn act(&self, ctx: &Context, lease: &Lease, runs: usize) -> Result<Outcome, Failure> {
        match &self.does {
            Does::Nothing => Ok(Outcome::Done),
            Does::Fail { times } if runs <= *times => {
                Err(Failure::Retry("cannot reach +14155550123".into()))
            }
            Does::Panic { times } if runs <= *times => panic!("the probe was told to"),
            Does::Wait { times } if runs <= *times => Err(Failure::Wait {
                after: Some(Duration::from_millis(1)),
                why: "asked for patience".into(),
            }),
            Does::WaitFor(time) => Err(Failure::Wait {
                after: Some(*time),
                why: "asked for patience".into(),
            }),
            Does::LoseTrack { times } if runs <= *times => {
                Err(Failure::LeaseLost(LeaseLost(lease.job_id)))
            }
            Does::Later(at) if ctx.clock.now() < *at => Ok(Outcome::Later(*at, "not yet".into())),
            Does::Stop => Err(Failure::Stop("no use".into())),
            Does::Block | Does::BlockThenFail | Does::BlockThenLater(_) | Does::BlockThenWrite => {
                gate(self.test).acquire().await.unwrap().forget();
                if matches!(self.does, Does::BlockThenWrite) {
                    let mut tx = lease.begin(&ctx.pools.work).await?;
                    sqlx::query("insert into accounts (account_id) values ($1)")
                        .bind(&self.name)
                        .execute(&mut *tx)
                        .await?;
                    tx.commit().await?;
                }
                match &self.does {
                    Does::BlockThenFail => Err(Failure::Retry("as told".into())),
                    Does::BlockThenLater(at) => Ok(Outcome::Later(*at, "as told".into())),
                    _ => Ok(Outcome::Done),
                }
            }
            _ => Ok(Outcome::Done),
        }
    }
}
