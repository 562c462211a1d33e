//! Connections to Postgres are cut; nothing is lost, nothing runs twice, no worker ends. What becomes of
//! whole processes when the server itself goes is proven in `proofs/postgres_gone.rs`.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::support::{
    address::Address,
    cluster,
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
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
async fn being_cut_off_for_longer_than_a_lease_is_no_crash() {
    let database = cluster::fresh_database_options().await;
    let socket = database.get_socket().unwrap().join(".s.PGSQL.5432");
    let address = Address::of(socket.clone()).await;
    let pool = PgPoolOptions::new()
        .acquire_timeout(Duration::from_secs(1))
        .connect_lazy_with(address.in_the_place_of(&database));
    let service = Service::over(pool, |config| config.worker.lease = Duration::from_secs(1));
    let beside = PgPoolOptions::new().connect_lazy_with(database);
    let is = async |sql: &'static str| {
        sqlx::query_scalar::<_, bool>(sql)
            .fetch_one(&beside)
            .await
            .unwrap()
    };
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    let jobs = (0..4).map(|n| NewJob::of(&Probe::new(test, &n.to_string(), Does::Block)));
    service.enqueue_all(&jobs.collect::<Vec<_>>()).await;
    until("all of them run", async || probe::now(test) == 4).await;

    for _ in 0..4 {
        address.point_at("/nowhere".into());
        let all_ran_out = "select bool_and(lease_until < now() - interval '1 s') from queue.jobs";
        until("the leases ran out long ago", async || {
            is(all_ran_out).await
        })
        .await;
        address.point_at(socket.clone());
        let all_renewed = "select bool_and(coalesce(lease_until, now()) > now()) from queue.jobs";
        until("they are renewed", async || is(all_renewed).await).await;
    }
    // A run too many would end as well, and be told of.
    probe::let_go(test, 100);
    until("all of them ended", async || {
        is("select count(*) = 0 from queue.jobs").await
    })
    .await;
    worker.stop().await;

    assert_eq!(probe::started(test).len(), 4, "each job ran once");
    assert!(
        is(concat!(
            "select bool_and(outcome = 'done') from ",
            crate::support::every_run!(),
            " run"
        ))
        .await
    );
}
