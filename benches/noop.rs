//! The no-op job, and a worker process that knows nothing else: what remains is the queue.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tollkeeper::{
    clock::Clock,
    config::Config,
    context::{Context, Pools},
    db,
    queue::{self, Failure, Lease, Outcome},
    telemetry,
    work::Work,
    worker::{self, Register},
};
use tollkeeper_jobs::{Job, NewJob, RetryPolicy};

/// Jobs stored in one statement.
const BATCH: usize = 1000;

#[derive(Debug, Serialize, Deserialize)]
pub struct Noop {
    pub number: u64,
    /// Unset: the house's own.
    pub account_id: Option<String>,
    /// When it was asked for, in µs of the machine's clock.
    pub asked_at: Option<u64>,
}

/// How long each timed job waited for its start, in µs.
static WAITS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

impl Job for Noop {
    const KIND: &'static str = "noop";
    const RETRY: RetryPolicy = RetryPolicy::DEFAULT;

    fn key(&self) -> String {
        self.number.to_string()
    }

    fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref()
    }
}

impl Work for Noop {
    async fn run(&self, _: &Context, _: &Lease) -> Result<Outcome, Failure> {
        if let Some(asked_at) = self.asked_at {
            let mut waits = WAITS.lock().expect("no panic while it is held");
            waits.push(micros().saturating_sub(asked_at));
        }
        Ok(Outcome::Done)
    }
}

/// The machine's clock, which all its processes share.
pub fn micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_micros() as u64
}

/// Store jobs `numbers`, spread over so many accounts (0: the house's own).
pub async fn store(
    pool: &PgPool,
    numbers: std::ops::Range<u64>,
    accounts: u64,
) -> sqlx::Result<()> {
    let jobs: Vec<NewJob> = numbers.map(|number| of(number, accounts)).collect();
    store_all(pool, &jobs).await
}

pub async fn store_all(pool: &PgPool, jobs: &[NewJob]) -> sqlx::Result<()> {
    for batch in jobs.chunks(BATCH) {
        let mut tx = pool.begin().await?;
        queue::enqueue_all(&mut tx, batch).await?;
        tx.commit().await?;
    }
    Ok(())
}

pub fn of(number: u64, accounts: u64) -> NewJob {
    NewJob::of(&Noop {
        number,
        account_id: (accounts > 0).then(|| format!("account-{}", number % accounts.max(1))),
        asked_at: None,
    })
}

/// The worker process: it prints the waits of timed jobs when it is told to stop.
pub async fn work() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    telemetry::start(config.log_format, &config.log_filter)?;
    let url = config
        .database_url
        .as_ref()
        .expect("the parent names the database");
    let options: sqlx::postgres::PgConnectOptions =
        secrecy::ExposeSecret::expose_secret(url).parse()?;
    let pool = |size| db::pool(options.clone(), size, Duration::from_secs(30));
    let pools = Pools {
        ingest: pool(1),
        api: pool(1),
        queue: db::queue_pool(options.clone(), config.pools.queue, Duration::from_secs(30)),
        work: pool(config.pools.work),
        console: pool(config.pools.console),
    };
    let ctx = Context::new(config, pools, Clock::default())
        .map_err(|faults| anyhow::anyhow!(faults.join("\n")))?;
    let stop = CancellationToken::new();
    let mut told = signal(SignalKind::terminate())?;
    let at_signal = stop.clone();
    tokio::spawn(async move {
        told.recv().await;
        at_signal.cancel();
    });
    worker::run_until(ctx, Register::default().with::<Noop>(), stop).await?;
    let waits = WAITS.lock().expect("no panic while it is held");
    println!("{}", serde_json::to_string(&*waits)?);
    Ok(())
}
