//! Workers that are stopped past their leases and go on afterwards, as if nothing had been: whatever
//! they still try to write is refused, and every refusal is counted.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tollkeeper::{
    queue::{
        self,
        look::Filter,
        operate::{self, By},
    },
    sandbox::Sandbox,
};
use tollkeeper_jobs::SyncSubscription;
use uuid::Uuid;

use super::customers;
use crate::support::{
    cluster,
    figures::{Figure, Goal},
    process::{Process, Program},
    proof::{all_held, seed, shown, size},
    until,
};

/// Of one Twilio call: a run takes several.
const LATENCY: Duration = Duration::from_millis(150);
/// Longer than a stop takes: what a stopped process is just sending leaves when it goes on.
const QUIET_TIME: &str = "4s";
/// One run of one job.
type Run = (Uuid, i32);

#[tokio::test]
async fn a_worker_that_outlives_its_leases_writes_nothing_stale() {
    let seed = seed("zombies");
    let database = cluster::fresh_database_options().await;
    let db = PgPoolOptions::new().connect_lazy_with(database.clone());
    let audit = include_str!("audit.sql");
    sqlx::raw_sql(audit).execute(&db).await.unwrap();
    let sandbox = customers::sandbox(LATENCY).await;
    let program = Program::over(&database, &sandbox)
        .with("JOB_LEASE", "1s")
        .with("PROVIDER_QUIET_TIME", QUIET_TIME)
        .with("POOL_WORK", "10")
        .with("LOG_FORMAT", "json");
    let mut workers = Vec::new();
    for number in 0..size(3, 6) {
        workers.push(Arc::new(named(&program, number).ready("worker").await));
    }

    let feeding = CancellationToken::new();
    let feeder = tokio::spawn(feed(sandbox.clone(), db.clone(), feeding.clone()));
    let storm = Storm {
        db: db.clone(),
        stopped_at_once: Semaphore::new(workers.len() / 2),
        zombies: AtomicUsize::new(0),
        enough: size(4, 200),
    };
    let zombies = Arc::new(storm).rage(&workers, seed).await;
    feeding.cancel();
    let customers = feeder.await.unwrap();
    come_to_rest(&db, customers).await;

    let swept = swept(&db).await;
    let refused = refused(&workers).await;
    println!(
        "{zombies} zombies, {} runs taken over, {customers} customers",
        swept.len()
    );
    let faults = faults(&db).await;
    println!("{faults:?}");
    let accepted = faults.len() as f64;
    let none = Goal::Exactly(0.0);
    shown(Figure::value(
        "zombie_stale_writes_accepted",
        accepted,
        "writes",
        none,
    ));
    let wrong = customers::not_served_once(&sandbox, &db, customers).await;
    assert_eq!(wrong, Vec::<String>::new());
    let rightful: Vec<&Run> = refused.difference(&swept).collect();
    assert_eq!(
        rightful,
        Vec::<&Run>::new(),
        "refused though they held their jobs"
    );
    let counted = swept.intersection(&refused).count();
    all_held(
        "zombie_runs_refused_and_counted",
        counted,
        "runs",
        swept.len(),
    );
}

/// With a name by which the database knows its sessions.
fn named(program: &Program, number: usize) -> Program {
    let url = program.setting("DATABASE_URL");
    program.clone().with(
        "DATABASE_URL",
        &format!("{url}&application_name=zombie-{number}"),
    )
}

/// New customers for as long as wished, never many at once; how many there were.
async fn feed(sandbox: Sandbox, db: PgPool, until: CancellationToken) -> usize {
    let mut customers = 0;
    while !until.is_cancelled() {
        // So many are on their way at any time.
        while customers < customers::active(&db).await + size(6, 16) {
            let subscription_ref = customers::sign_up(&sandbox, &format!("user_{customers}"));
            let mut tx = db.begin().await.unwrap();
            let job = SyncSubscription { subscription_ref };
            queue::enqueue(&mut tx, &job).await.unwrap();
            tx.commit().await.unwrap();
            customers += 1;
        }
        revive(&db).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    customers
}

struct Storm {
    db: PgPool,
    /// Somebody must be left to take over.
    stopped_at_once: Semaphore,
    zombies: AtomicUsize,
    enough: usize,
}

impl Storm {
    /// Stop and continue workers at random until there were enough zombies; how many there were.
    async fn rage(self: Arc<Storm>, workers: &[Arc<Process>], seed: u64) -> usize {
        let mut storm = JoinSet::new();
        for (number, worker) in (0..).zip(workers) {
            let (storm_itself, worker) = (self.clone(), worker.clone());
            let dice = StdRng::seed_from_u64(seed ^ number);
            storm.spawn(async move { storm_itself.haunt(&worker, dice).await });
        }
        storm.join_all().await;
        self.zombies.load(Ordering::Relaxed)
    }

    async fn haunt(&self, worker: &Process, mut dice: StdRng) {
        while self.zombies.load(Ordering::Relaxed) < self.enough {
            tokio::time::sleep(Duration::from_millis(
                dice.random_range(50..size(800, 2500)),
            ))
            .await;
            let _place = self.stopped_at_once.acquire().await.unwrap();
            worker.signal(libc::SIGSTOP);
            let tokens = self.held_by(worker).await;
            until("what it held was taken over", async || {
                self.is_taken_over(&tokens).await
            })
            .await;
            // Its successors have begun, or are about to, or are in the midst of it.
            if !tokens.is_empty() {
                tokio::time::sleep(Duration::from_millis(dice.random_range(0..500))).await;
                self.zombies.fetch_add(1, Ordering::Relaxed);
            }
            worker.signal(libc::SIGCONT);
            assert!(worker.is_alive(), "a worker ended: {}", worker.log());
        }
    }

    async fn held_by(&self, worker: &Process) -> Vec<Uuid> {
        let sql =
            "select lease_token from queue.jobs where state = 'running' and strpos(worker, $1) > 0";
        sqlx::query_scalar(sql)
            .bind(format!(":{}:", worker.pid()))
            .fetch_all(&self.db)
            .await
            .unwrap()
    }

    async fn is_taken_over(&self, tokens: &[Uuid]) -> bool {
        let sql = "select count(*) from queue.jobs where lease_token = any($1)";
        let held: i64 = sqlx::query_scalar(sql)
            .bind(tokens)
            .fetch_one(&self.db)
            .await
            .unwrap();
        held == 0
    }
}

/// Who was stopped in each of three runs of a job counts as poison: an operator has it run again.
async fn revive(db: &PgPool) {
    let dead = Filter {
        state: Some("dead".into()),
        ..Filter::default()
    };
    let by = By {
        who: "the test",
        why: "its workers were stopped, it is no poison",
    };
    let mut conn = db.acquire().await.unwrap();
    operate::retry_matching(&mut conn, &dead, by).await.unwrap();
}

async fn come_to_rest(db: &PgPool, customers: usize) {
    until(
        "every customer is served and nothing is left to do",
        async || {
            revive(db).await;
            let left: i64 = sqlx::query_scalar(
                "select count(*) from queue.jobs where state in ('ready', 'running', 'dead')
             or (state = 'waiting' and run_at < now() + interval '1 minute')",
            )
            .fetch_one(db)
            .await
            .unwrap();
            left == 0 && customers::active(db).await == customers
        },
    )
    .await;
}

/// Writes that were not the writer's to make, and runs that are not told of once.
async fn faults(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        concat!("select what from audit.faults
         union all
         select 'run ' || attempt || ' of job ' || job_id || ' ended ' || count(run.outcome) || ' times'
         from audit.claims left join ", crate::support::every_run!(), " run using (job_id, attempt)
         group by job_id, attempt having count(run.outcome) <> 1"),
    )
    .fetch_all(db)
    .await
    .unwrap()
}

/// The runs that lost their job to a sweep. No worker died, so each of them went on later.
async fn swept(db: &PgPool) -> BTreeSet<Run> {
    let sql = "select job_id, attempt from queue.job_attempts where outcome = 'crash'";
    let runs: Vec<Run> = sqlx::query_as(sql).fetch_all(db).await.unwrap();
    runs.into_iter().collect()
}

/// The runs of which a write was refused, by the logs, which must agree with the figures.
async fn refused(workers: &[Arc<Process>]) -> BTreeSet<Run> {
    let mut refused = BTreeSet::new();
    for worker in workers {
        let log = worker.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("a run that no longer holds its job was refused"));
        let (_, figures) = worker.get("/metrics").await.unwrap();
        let counted: usize = figures
            .lines()
            .filter(|line| line.starts_with("tollkeeper_stale_writes_refused_total{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
            .sum();
        assert_eq!(lines.clone().count(), counted, "{figures}");
        for line in lines {
            let line: Value = serde_json::from_str(line).unwrap();
            let job_id = line["job.id"].as_str().unwrap().parse().unwrap();
            refused.insert((job_id, line["attempt"].as_i64().unwrap() as i32));
        }
    }
    refused
}
