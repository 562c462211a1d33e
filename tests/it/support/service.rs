//! The service as a test runs it: its own database, real workers, short waits.

use std::{path::PathBuf, time::Duration};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollkeeper::{
    clock::Clock,
    config::*,
    context::{Context, Pools},
    queue::{self, Enqueued},
    worker::{self, Register},
};
use tollkeeper_jobs::{Job, NewJob, billing::caps::Caps};

use super::{cluster, until};

pub struct Service {
    pub ctx: Context,
    pub db: PgPool,
}

/// A worker in this process.
pub struct Worker {
    stop: CancellationToken,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Worker {
    /// Drain and end.
    pub async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

impl Service {
    pub async fn new() -> Service {
        Service::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Service {
        let options = cluster::fresh_database_options().await;
        let pools = Pools::lazy(&options, &config().pools);
        // The test's own eyes: asked before each use, for tests that cut the service's connections.
        let own = PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy_with(options);
        Service::of(pools, own, change)
    }

    /// With claims that take so long that every run asks at its start gate whether its claim still stands.
    pub async fn with_slow_claims(change: impl FnOnce(&mut Config)) -> Service {
        let lease = Duration::from_secs(4);
        let service = Service::with(|config| {
            config.worker.lease = lease;
            change(config);
        })
        .await;
        let triggers = "create function slow_claim() returns trigger language plpgsql as $$
             begin perform pg_sleep_until(now() + interval '210 ms'); return new; end $$;
             create trigger slow_claim before update on queue.jobs for each row
             when (old.state = 'ready' and new.state = 'running') execute function slow_claim()";
        sqlx::raw_sql(triggers).execute(&service.db).await.unwrap();
        service
    }

    /// Over a pool of the test's own, whatever the service uses it for.
    pub fn over(db: PgPool, change: impl FnOnce(&mut Config)) -> Service {
        let pools = Pools {
            ingest: db.clone(),
            api: db.clone(),
            queue: db.clone(),
            work: db.clone(),
            console: db.clone(),
        };
        Service::of(pools, db, change)
    }

    fn of(pools: Pools, db: PgPool, change: impl FnOnce(&mut Config)) -> Service {
        let mut config = config();
        change(&mut config);
        let ctx = Context::new(config, pools, Clock::default()).unwrap();
        Service { ctx, db }
    }

    pub fn work(&self, register: Register) -> Worker {
        let stop = CancellationToken::new();
        let ended = tokio::spawn(worker::run_until(self.ctx.clone(), register, stop.clone()));
        Worker { stop, ended }
    }

    pub async fn enqueue<J: Job>(&self, job: &J) -> Enqueued {
        let mut tx = self.db.begin().await.unwrap();
        let enqueued = queue::enqueue(&mut tx, job).await.unwrap();
        tx.commit().await.unwrap();
        self.ctx.wake.ring();
        enqueued
    }

    pub async fn enqueue_all(&self, jobs: &[NewJob]) -> Vec<Enqueued> {
        let mut tx = self.db.begin().await.unwrap();
        let enqueued = queue::enqueue_all(&mut tx, jobs).await.unwrap();
        tx.commit().await.unwrap();
        self.ctx.wake.ring();
        enqueued
    }

    /// Wait until nothing is ready, running or due soon.
    pub async fn drain(&self) {
        until("the queue is empty", async || {
            let live: i64 = self
                .value(
                    "select count(*) from queue.jobs where state in ('ready', 'running')
                     or (state = 'waiting' and run_at < now() + interval '1 minute')",
                )
                .await;
            live == 0
        })
        .await;
    }

    /// One value from the database.
    pub async fn value<T>(&self, sql: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }

    pub async fn execute(&self, sql: &'static str) -> u64 {
        sqlx::query(sql)
            .execute(&self.db)
            .await
            .unwrap()
            .rows_affected()
    }
}

fn config() -> Config {
    Config {
        host: [127, 0, 0, 1].into(),
        port: 0,
        database_url: None,
        data_dir: PathBuf::new(),
        pg_bindir: None,
        public_base_url: "https://hooks.test".into(),
        stripe: StripeConfig {
            secret_key: "sk_test_tollkeeper".into(),
            webhook_secrets: vec!["whsec_test_tollkeeper".into()],
            api_base: "http://127.0.0.1:9".into(),
            requests_per_second: 0,
        },
        twilio: TwilioConfig {
            account_sid: "AC00000000000000000000000000000001".into(),
            auth_tokens: vec!["a-made-up-token".into()],
            api_base: "http://127.0.0.1:9".into(),
        },
        voipms: VoipmsConfig::default(),
        encryption_keys: vec![
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".into(),
        ],
        legacy_encryption_key: None,
        jwt: JwtConfig::default(),
        admin_key: None,
        metrics_token: None,
        pools: PoolConfig {
            ingest: 10,
            api: 5,
            queue: 10,
            work: 12,
            console: 4,
            acquire_timeout: Duration::from_secs(30),
        },
        worker: WorkerConfig {
            money: 8,
            voice: 4,
            default: 8,
            bulk: 4,
            account_max: 4,
            lease: Duration::from_secs(30),
            poll_max: Duration::from_millis(100),
            drain: Duration::from_secs(5),
            metrics_port: None,
            backoff_scale: 0.001,
        },
        telephony: TelephonyConfig {
            country: "US".into(),
            area_codes: vec!["415".into()],
            numbers_per_account_max: 10,
            past_due_grace: Duration::from_secs(3 * 86_400),
            release_grace: Duration::from_secs(7 * 86_400),
            quiet_time: Duration::from_millis(300),
            greeting: "Hello!".into(),
            sms_reply: "Thank you.".into(),
            allowed_countries: vec!["US".into(), "CA".into()],
            outbound: OutboundConfig {
                spend_per_day_micros: Some(25_000_000),
                call_minutes_max: 60,
                fallback_number: None,
            },
        },
        recordings: RecordingConfig {
            bytes_max: 200_000_000,
            part_bytes_max: 26_000_000,
            is_deleted: true,
        },
        speech: SpeechConfig::default(),
        http: HttpConfig {
            header_deadline: Duration::from_secs(5),
            body_deadline: Duration::from_secs(10),
            connections_max: 1024,
            connections_per_address_max: 1024,
            group_max: 50,
            store_deadline: Duration::from_secs(2),
            cors_origins: vec![],
        },
        // Off: a test that asks often is about something else.
        rate_limits: RateLimitConfig {
            window: Duration::from_secs(60),
            requests_max: 0,
            phone_per_hour_max: 0,
            billing_per_hour_max: 0,
        },
        billing: BillingConfig {
            settles_for: Duration::from_secs(600),
            caps: Caps::default(),
        },
        notify: NotifyConfig {
            allow_private: true,
            timeout: Duration::from_secs(15),
        },
        mail: None,
        log_format: LogFormat::Text,
        log_filter: "warn".into(),
        price_ids: Default::default(),
    }
}
