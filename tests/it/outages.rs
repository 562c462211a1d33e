//! Postgres goes away and comes back; nothing is lost, nothing runs twice, no process ends.

use std::time::Duration;

use tollkeeper::worker::Register;
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe},
    service::Service,
};

#[tokio::test]
async fn connections_cut_in_mid_flight_lose_no_job_and_end_no_worker() {
    let service = Service::with(|config| {
        config.worker.lease = Duration::from_secs(1);
        config.worker.default = 20;
    })
    .await;
    let test = Uuid::now_v7();
    let worker = service.work(Register::default().with::<Probe>());

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
