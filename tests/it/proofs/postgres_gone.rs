//! Postgres goes away under load and comes back: nothing acknowledged is lost, nothing runs twice, no
//! process ends, and each says meanwhile that it cannot serve.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::customers;
use crate::support::{
    cluster,
    load::Load,
    postgres_server::{Fall, PostgresServer},
    process::{Process, Program},
    proof::{all_held, seed, size},
    until,
    web::STRIPE_SECRET,
};

const SENDERS: usize = 6;
/// Every run that is charged a crash, whatever becomes of its job afterwards.
const WATCH_CRASHES: &str = "
    create schema audit;
    create table audit.crashes (job_id uuid, kind text, attempt integer, worker text);
    create function audit.crash() returns trigger language plpgsql as $$
    begin
        insert into audit.crashes values (old.id, old.kind, old.attempt, old.worker);
        return null;
    end $$;
    create trigger crash after update on queue.jobs for each row when (new.crashes > old.crashes)
        execute function audit.crash()";

#[tokio::test]
async fn a_postgres_that_goes_away_loses_no_acknowledged_webhook_and_ends_no_process() {
    let mut dice = StdRng::seed_from_u64(seed("postgres_gone"));
    let server = PostgresServer::start_new().await;
    let database = cluster::make_database(&server.options(), "outage").await;
    let db = PgPoolOptions::new().connect_lazy_with(database.clone());
    sqlx::raw_sql(WATCH_CRASHES).execute(&db).await.unwrap();
    let sandbox = customers::sandbox(Duration::from_millis(300)).await;
    let program = Program::over(&database, &sandbox)
        // The sandbox and the senders are one address, and all of them wait at once.
        .with("HTTP_CONNECTIONS_PER_ADDRESS_MAX", "1024")
        .with("JOB_LEASE", size("2s", "6s"))
        .with("INGEST_STORE_DEADLINE", size("1s", "5s"));
    let house = House {
        web: Arc::new(program.ready("web").await),
        worker: Arc::new(program.ready("worker").await),
    };
    let webhook = format!("http://{}/stripe/webhook", house.web.address);
    sandbox.add_webhook(&webhook, STRIPE_SECRET);
    let customers = size(4, 20);
    let load = Load::start(house.web.address, SENDERS);

    let falls = [Fall::Fast, Fall::Immediate, Fall::Killed];
    let first = dice.random_range(0..falls.len());
    let restarts = (0..size(1, 5)).map(|n| (falls[(first + n) % falls.len()], None));
    let outage = (Fall::Fast, Some(Duration::from_secs(size(3, 60))));
    for (round, (fall, downtime)) in restarts.chain([outage]).enumerate() {
        for customer in 0..customers {
            customers::sign_up(&sandbox, &format!("user_{round}_{customer}"));
        }
        // In the midst of things: some of them bought, some not.
        let served = round * customers + dice.random_range(1..customers);
        until("some customers are served", async || {
            customers::active(&db).await >= served
        })
        .await;
        let watch = Watch::start(&house);
        let begun_at = Instant::now();
        server.fall(fall);
        let gone_at = Instant::now();
        if let Some(downtime) = downtime {
            watch.until_gone().await;
            tokio::time::sleep(downtime.saturating_sub(gone_at.elapsed())).await;
        }
        let back_at = Instant::now();
        server.start().await;
        house.serves_again(&load, &db).await;
        println!(
            "{fall:?}: away for {:?}, everything served {:?} later",
            back_at - begun_at,
            back_at.elapsed()
        );
        watch.told_the_truth(gone_at, back_at).await;
    }

    let turned_away = load.turned_away();
    let acknowledged = load.stop().await;
    house.is_at_rest(&db).await;
    let kept = kept_once(&db, &acknowledged).await;
    println!("{turned_away} times told to come again");
    assert!(turned_away > 0, "the load never met the outage");
    assert_eq!(nothing_ran_twice(&db).await, Vec::<String>::new());
    let faults = customers::not_served_once(&sandbox, &db, customers * size(2, 6)).await;
    assert_eq!(faults, Vec::<String>::new());
    all_held(
        "postgres_gone_webhooks_kept",
        kept,
        "webhooks",
        acknowledged.len(),
    );
}

struct House {
    web: Arc<Process>,
    worker: Arc<Process>,
}

impl House {
    /// Everything is as it was, by itself.
    async fn serves_again(&self, load: &Load, db: &PgPool) {
        let handled = async || {
            let sql = "select count(*) from queue.finished_jobs where kind = 'handle_stripe_event'";
            sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(db)
                .await
                .unwrap()
        };
        let before = (load.acknowledged(), handled().await);
        until("webhooks are acknowledged and handled again", async || {
            assert!(self.web.is_alive(), "web ended: {}", self.web.log());
            assert!(
                self.worker.is_alive(),
                "the worker ended: {}",
                self.worker.log()
            );
            load.acknowledged() > before.0 && handled().await > before.1
        })
        .await;
        until("both say that they are ready", async || {
            is_ready(&self.web).await && is_ready(&self.worker).await
        })
        .await;
    }

    async fn is_at_rest(&self, db: &PgPool) {
        until("nothing is left to do", async || {
            assert!(
                self.worker.is_alive(),
                "the worker ended: {}",
                self.worker.log()
            );
            let left: i64 = sqlx::query_scalar(
                "select count(*) from queue.jobs where state in ('ready', 'running')
                 or (state = 'waiting' and run_at < now() + interval '1 minute')",
            )
            .fetch_one(db)
            .await
            .unwrap();
            left == 0
        })
        .await;
    }
}

async fn is_ready(process: &Process) -> bool {
    matches!(process.get("/readyz").await, Some((200, _)))
}

/// Of the acknowledged webhooks, those that are stored and were dealt with by one run.
async fn kept_once(db: &PgPool, acknowledged: &BTreeSet<String>) -> usize {
    let kept: i64 = sqlx::query_scalar(concat!(
        "select count(*) from webhooks
         where event_key = any($1) and state = 'handled'
           and (select count(*) from queue.finished_jobs job join ",
        crate::support::every_run!(),
        " run on run.job_id = job.id
                where job.kind = 'handle_stripe_event' and job.key = webhooks.id::text
                  and run.outcome in ('done', 'skipped')) = 1"
    ))
    .bind(Vec::from_iter(acknowledged))
    .fetch_one(db)
    .await
    .unwrap();
    kept as usize
}

/// Runs that ended twice, jobs that died, and crashes that were charged though no worker died.
async fn nothing_ran_twice(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        concat!("select 'two ends of run ' || attempt || ' of job ' || job_id from ", crate::support::every_run!(), " run
         group by job_id, attempt having count(*) > 1
         union all
         select 'two jobs of webhook ' || key from queue.finished_jobs where kind = 'handle_stripe_event'
         group by key having count(*) > 1
         union all
         select 'webhook ' || event_key || ' is not dealt with' from webhooks where state = 'stored'
         union all
         select kind || ' is dead: ' || coalesce(note, '') from queue.jobs where state = 'dead'
         union all
         select 'a crash charged to run ' || attempt || ' of ' || kind || ' ' || job_id from audit.crashes"),
    )
    .fetch_all(db)
    .await
    .unwrap()
}

/// What the two processes answer to `/readyz` while something goes on.
struct Watch {
    stop: CancellationToken,
    watchers: Vec<JoinHandle<Vec<Seen>>>,
    house: [Arc<Process>; 2],
}

#[derive(Debug)]
struct Seen {
    asked_at: Instant,
    answered_at: Instant,
    status: Option<u16>,
}

impl Watch {
    fn start(house: &House) -> Watch {
        let stop = CancellationToken::new();
        let house = [house.web.clone(), house.worker.clone()];
        let watchers = house.iter().map(|process| {
            let (process, stop) = (process.clone(), stop.clone());
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !stop.is_cancelled() {
                    let asked_at = Instant::now();
                    let status = process.get("/readyz").await.map(|(status, _)| status);
                    seen.push(Seen {
                        asked_at,
                        answered_at: Instant::now(),
                        status,
                    });
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                seen
            })
        });
        Watch {
            watchers: watchers.collect(),
            stop,
            house,
        }
    }

    async fn until_gone(&self) {
        for process in &self.house {
            until("it says that it is not ready", async || {
                !is_ready(process).await
            })
            .await;
        }
    }

    /// Every question that was asked and answered while the server was gone was answered with 503.
    async fn told_the_truth(self, gone_at: Instant, back_at: Instant) {
        self.stop.cancel();
        for watcher in self.watchers {
            for seen in watcher.await.unwrap() {
                if seen.asked_at > gone_at && seen.answered_at < back_at {
                    assert_eq!(
                        seen.status,
                        Some(503),
                        "{:?} after",
                        seen.asked_at - gone_at
                    );
                }
                assert!(seen.status.is_some(), "no answer: {seen:?}");
            }
        }
    }
}
