//! Turns, caps and pauses.

use tollkeeper::queue::operate::{self, By, Scope};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
};

const BY: By<'_> = By {
    who: "ann",
    why: "a test",
};

#[tokio::test]
async fn an_account_with_many_jobs_does_not_keep_the_others_waiting() {
    let service = Service::with(|config| config.worker.default = 4).await;
    let test = Uuid::now_v7();
    let noisy = (0..2000).map(|n| Probe::new(test, &format!("noisy {n}"), Does::Nothing).of("m"));
    let quiet = (0..20).map(|n| {
        Probe::new(test, &format!("quiet {n}"), Does::Nothing).of(&format!("account-{n}"))
    });

    service
        .enqueue_all(
            &noisy
                .chain(quiet)
                .map(|probe| NewJob::of(&probe))
                .collect::<Vec<_>>(),
        )
        .await;
    let worker = service.work(probes());
    service.drain().await;
    worker.stop().await;

    let ran = probe::started(test);
    let last_quiet = ran
        .iter()
        .rposition(|name| name.starts_with("quiet"))
        .unwrap();
    // Twenty quiet accounts and a noisy one: in a fair world each has had its turn after 21 turns;
    // four slots and a second round leave some room.
    assert!(
        last_quiet < 60,
        "the last quiet job was run number {last_quiet}"
    );
}

#[tokio::test]
async fn one_account_never_takes_more_than_its_share_of_the_slots() {
    let service = Service::with(|config| config.worker.account_max = 3).await;
    let test = Uuid::now_v7();
    let jobs: Vec<_> = (0..40)
        .map(|n| NewJob::of(&Probe::new(test, &n.to_string(), Does::Block).of("greedy")))
        .collect();
    service.enqueue_all(&jobs).await;

    let workers = [service.work(probes()), service.work(probes())];
    until("its share runs", async || probe::started(test).len() == 3).await;
    probe::let_go(test, 40);
    service.drain().await;
    for worker in workers {
        worker.stop().await;
    }

    assert_eq!((probe::most_at_once(test), probe::ended(test)), (3, 40));
}

#[tokio::test]
async fn a_capped_kind_never_runs_more_than_its_cap_over_all_workers() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let mut conn = service.db.acquire().await.unwrap();
    operate::cap_kind(&mut conn, "probe", Some(2), BY)
        .await
        .unwrap();
    let jobs: Vec<_> = (0..60)
        .map(|n| NewJob::of(&Probe::new(test, &n.to_string(), Does::Nothing).of(&n.to_string())))
        .collect();

    service.enqueue_all(&jobs).await;
    let workers = [
        service.work(probes()),
        service.work(probes()),
        service.work(probes()),
    ];
    service.drain().await;
    for worker in workers {
        worker.stop().await;
    }

    assert_eq!(probe::ended(test), 60);
    assert!(
        probe::most_at_once(test) <= 2,
        "{} ran at once",
        probe::most_at_once(test)
    );
}

#[tokio::test]
async fn a_paused_kind_or_lane_waits_until_it_is_resumed() {
    let service = Service::new().await;
    let worker = service.work(probes());
    for (scope, name) in [(Scope::Kind, "probe"), (Scope::Lane, "default")] {
        let test = Uuid::now_v7();
        let mut conn = service.db.acquire().await.unwrap();
        operate::pause(&mut conn, scope, name, BY).await.unwrap();
        service
            .enqueue(&Probe::new(test, name, Does::Nothing))
            .await;
        // It has been ready for as long as several claims take.
        until("a claim has passed it by", async || service.value::<bool>(
            "select count(*) = 1 from queue.jobs where state = 'ready' and created_at < clock_timestamp() - interval '400 ms'",
        ).await).await;
        assert_eq!(probe::started(test).len(), 0, "paused {scope:?}");

        operate::resume(&mut conn, scope, name, BY).await.unwrap();
        service.drain().await;
        assert_eq!(probe::started(test).len(), 1, "resumed {scope:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn within_an_account_the_higher_priority_runs_first() {
    let service = Service::with(|config| config.worker.default = 1).await;
    let test = Uuid::now_v7();
    let job = |name: &str, priority| NewJob {
        priority,
        ..NewJob::of(&Probe::new(test, name, Does::Nothing).of("a"))
    };

    service
        .enqueue_all(&[job("low", -1), job("middle", 0), job("high", 5)])
        .await;
    let worker = service.work(probes());
    service.drain().await;
    worker.stop().await;

    assert_eq!(probe::started(test), ["high", "middle", "low"]);
}
