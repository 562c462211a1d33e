//! Postgres goes away and comes back; nothing is lost, nothing runs twice, no process ends.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};
use tollkeeper::{db, postgres::Embedded, worker::Register};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
    web::{Web, golden},
};

#[tokio::test]
async fn connections_cut_in_mid_flight_lose_no_job_and_end_no_worker() {
    let service = Service::with(|config| {
        config.worker.lease = Duration::from_secs(1);
        config.worker.default = 20;
    })
    .await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());

    for round in 0..15 {
        let jobs =
            (0..200).map(|n| NewJob::of(&Probe::new(test, &format!("{round}.{n}"), Does::Nothing)));
        service.enqueue_all(&jobs.collect::<Vec<_>>()).await;
        service
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid() and query like '%queue.%'",
            )
            .await;
    }
    service.drain().await;
    worker.stop().await;

    let mut ran = probe::started(test);
    let runs = ran.len();
    ran.sort();
    ran.dedup();
    assert_eq!(
        (ran.len(), runs),
        (3000, 3000),
        "each job ran, and ran once"
    );
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.finished_jobs where state = 'done'")
            .await,
        3000
    );
}

#[tokio::test]
async fn a_postgres_that_is_killed_under_load_loses_no_acknowledged_webhook() {
    const EVENTS: usize = 300;
    let folder = std::env::temp_dir().join(format!("tollkeeper-outage-{}", std::process::id()));
    let server = Embedded::start(&folder).await.unwrap();
    let mut conn = PgConnection::connect_with(&server.connect_options())
        .await
        .unwrap();
    db::migrate(&mut conn).await.unwrap();
    drop(conn);
    let pool = PgPoolOptions::new()
        .max_connections(20)
        .acquire_timeout(Duration::from_secs(1))
        .connect_lazy_with(server.connect_options());
    let service = Service::over(pool, |config| config.worker.lease = Duration::from_secs(2));
    let worker = service.work(Register::all());
    let web = Web::over(service);

    let recorded =
        std::fs::read_to_string(golden("webhooks/stripe/new/charge.refunded.full.json")).unwrap();
    let mut killed = 0;
    for event in 0..EVENTS {
        if event == 100 || event == 200 {
            let postmaster = server.pid().unwrap();
            assert_eq!(unsafe { libc::kill(postmaster as i32, libc::SIGKILL) }, 0);
            killed += 1;
        }
        let body = recorded.replace("evt_1SFixture", &format!("evt_{event}x"));
        // A sender comes again until it is told that its event is here.
        loop {
            let answer = web.stripe("/stripe/webhook", body.as_bytes()).await;
            if answer.status() == 200 {
                break;
            }
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key("retry-after"));
        }
    }
    until("every event is dealt with", async || {
        // A run marks its webhook, and ends a moment later.
        let held = "select count(*) from webhooks where state = 'held'
                    and not exists (select from queue.jobs where kind = 'handle_stripe_event')";
        let held = sqlx::query_scalar::<_, i64>(held)
            .fetch_one(&web.service.db)
            .await;
        held.is_ok_and(|held| held == EVENTS as i64)
    })
    .await;

    let jobs: i64 = web
        .service
        .value("select count(*) from queue.finished_jobs where state = 'skipped'")
        .await;
    assert_eq!((killed, jobs), (2, EVENTS as i64));
    assert_eq!(
        web.service
            .value::<i64>("select count(*) from queue.jobs where kind = 'handle_stripe_event'")
            .await,
        0
    );
    web.tell_to_stop();
    web.ended().await;
    worker.stop().await;
    server.stop().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
