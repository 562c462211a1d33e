//! Processes come and go, under whatever name.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tollkeeper::sandbox::{Fault, Provider, Rule, Sandbox, Settings, When};
use tollkeeper_jobs::SyncSubscription;

use crate::support::{
    cluster,
    figures::{Figure, Goal},
    process::Program,
    proof::{shown, size},
    until,
    works::{AGAIN_WITHIN, Works},
};

/// All at once in one worker.
const JOBS: usize = 8;

#[tokio::test]
async fn each_role_says_when_it_is_ready() {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let program = Program::over(&cluster::fresh_database_options().await, &sandbox);
    for role in ["web", "worker"] {
        let process = program.ready(role).await;
        let (status, figures) = process.get("/metrics").await.unwrap();
        assert_eq!(status, 200, "{figures}");
        assert!(process.is_alive());
    }
}

#[tokio::test]
async fn the_jobs_of_a_killed_worker_run_again_within_lease_and_two_seconds() {
    let works = Works::with(1, |program| program).await;
    let mut longest = 0.0_f64;
    for round in 0..size(2, 20) {
        longest = longest.max(killed_in_the_middle(&works, round).await);
    }
    assert_eq!(works.dead().await, Vec::<String>::new());
    shown(Figure::ratio(
        "jobs_run_again_after_a_kill",
        longest,
        "s, the longest",
        AGAIN_WITHIN.as_secs_f64(),
        Goal::AtMost(1.0),
    ));
}

/// How long it took in seconds until the last job of the killed worker was started again.
async fn killed_in_the_middle(works: &Works, round: usize) -> f64 {
    let hangs = Fault::Latency {
        by: Duration::from_secs(60),
    };
    let rule = Rule::on(
        Provider::Stripe,
        "GET",
        "subscriptions",
        When::Always,
        hangs,
    );
    works.sandbox.add_rules(vec![rule]);
    let jobs: Vec<SyncSubscription> = (0..JOBS)
        .map(|nth| SyncSubscription {
            subscription_ref: format!("sub_{round}x{nth}"),
        })
        .collect();
    works.enqueue(&jobs).await;
    until("all of them run", async || {
        let running =
            "select count(*) from queue.jobs where started_at is not null and state = 'running'";
        works.value::<i64>(running).await == JOBS as i64
    })
    .await;
    works.sandbox.clear_rules();

    works.workers[0].signal(libc::SIGKILL);
    let killed_at: DateTime<Utc> = works.value("select clock_timestamp()").await;
    works.rest().await;

    let again: Vec<DateTime<Utc>> = sqlx::query_scalar(concat!(
        "select run.started_at from ",
        crate::support::every_run!(),
        " run join queue.finished_jobs job on job.id = run.job_id
         where run.attempt = 2 and job.crashes = 1 and run.started_at > $1"
    ))
    .bind(killed_at)
    .fetch_all(&works.db)
    .await
    .unwrap();
    assert_eq!(again.len(), JOBS);
    let last = again.into_iter().max().unwrap();
    (last - killed_at).as_seconds_f64()
}
