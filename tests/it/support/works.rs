//! The service as processes that are started again whenever they die: a web role and some workers, over
//! a database and a sandbox of their own.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::PgPool;
use tollkeeper::{
    clock::Clock,
    queue,
    sandbox::{
        Sandbox, Settings,
        stripe::{SignUp, SignedUp},
    },
};
use tollkeeper_jobs::{Job, NewJob};

use super::{
    cluster,
    house::{PRICE, SECRETARY},
    kept::Kept,
    process::Program,
    until,
    web::STRIPE_SECRET,
};

/// The plan that bills usage is paid for so long at a time.
pub const WEEKS_OF_USAGE: u32 = 4;
/// How long a worker that died keeps its jobs.
pub const LEASE: Duration = Duration::from_secs(1);
/// A dead worker's job runs again within this time.
pub const AGAIN_WITHIN: Duration = Duration::from_secs(3);

pub struct Works {
    pub sandbox: Sandbox,
    pub db: PgPool,
    pub workers: Vec<Kept>,
    program: Program,
}

impl Works {
    /// With so many workers, all of them ready. `arrange` adds settings.
    pub async fn with(workers: usize, arrange: impl FnOnce(Program) -> Program) -> Works {
        Works::behind(TimeDelta::zero(), workers, arrange).await
    }

    /// The same beside providers whose clock is so far behind, until it is moved: what is signed up for now was signed up
    /// for then.
    pub async fn behind(
        time: TimeDelta,
        workers: usize,
        arrange: impl FnOnce(Program) -> Program,
    ) -> Works {
        let clock = Clock::default();
        clock.advance(-time);
        let sandbox = Sandbox::start(Settings {
            clock,
            receivers_clock: Some(Clock::default()),
            subaccounts_max: 10_000,
            ..Settings::default()
        })
        .await
        .unwrap();
        sandbox.add_price(PRICE, 9700);
        sandbox.add_price_of_weeks(SECRETARY, 4000, WEEKS_OF_USAGE);
        let options = cluster::fresh_database_options().await;
        let program = Program::over(&options, &sandbox)
            .with("JOB_LEASE", &format!("{}ms", LEASE.as_millis()))
            .with("POOL_INGEST", "4")
            .with("POOL_WORK", "8");
        let program = arrange(program);
        let workers = (0..workers)
            .map(|_| Kept::start(&program, "worker"))
            .collect();
        let db = tollkeeper::db::pool(options, 4, Duration::from_secs(30));
        let works = Works {
            sandbox,
            db,
            workers,
            program,
        };
        works.ready().await;
        works
    }

    /// The web role beside the workers; Stripe's events go there.
    pub async fn open_for_events(&self) -> Kept {
        let web = Kept::start(&self.program, "web");
        until("the web role is ready", async || web.is_ready().await).await;
        let url = format!("http://{}/stripe/webhook", web.address);
        self.sandbox.add_webhook(&url, STRIPE_SECRET);
        web
    }

    pub async fn ready(&self) {
        for worker in &self.workers {
            until("a worker is ready", async || worker.is_ready().await).await;
        }
    }

    /// The subscription's id.
    pub fn sign_up(&self, user: &str) -> String {
        self.sign_up_for(user, PRICE).subscription_id
    }

    /// The same for a plan that bills usage.
    pub fn sign_up_for_usage(&self, user: &str) -> SignedUp {
        self.sign_up_for(user, SECRETARY)
    }

    fn sign_up_for(&self, user: &str, price: &str) -> SignedUp {
        self.sandbox
            .sign_up(&SignUp {
                user_id: user.into(),
                email: format!("{user}@example.com"),
                price_id: price.into(),
                ..SignUp::default()
            })
            .unwrap()
    }

    pub async fn enqueue<J: Job>(&self, jobs: &[J]) {
        let jobs: Vec<NewJob> = jobs.iter().map(NewJob::of).collect();
        self.enqueue_new(&jobs).await;
    }

    /// The same of jobs that are somebody's.
    pub async fn enqueue_new(&self, jobs: &[NewJob]) {
        let mut tx = self.db.begin().await.unwrap();
        queue::enqueue_all(&mut tx, jobs).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// One value from the database.
    pub async fn value<T>(&self, sql: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }

    /// Wait until nothing is left to do.
    pub async fn rest(&self) {
        self.sandbox.all_delivered().await;
        until("nothing is left to do", async || {
            let live = "select count(*) from queue.jobs
                        where state in ('ready', 'running')
                           or state = 'waiting' and run_at < now() + interval '1 minute'";
            self.value::<i64>(live).await == 0
        })
        .await;
    }

    /// Jobs that gave up, and why.
    pub async fn dead(&self) -> Vec<String> {
        let dead = "select kind || ': ' || coalesce(note, '') from queue.jobs where state = 'dead'";
        sqlx::query_scalar(dead).fetch_all(&self.db).await.unwrap()
    }
}
