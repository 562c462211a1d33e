//! The promises of the queue, through real workers.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use tollkeeper::{
    queue::{
        self, Enqueued, look,
        operate::{self, By},
    },
    worker::Register,
};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
};

#[tokio::test]
async fn a_rolled_back_transaction_leaves_no_job() {
    let service = Service::new().await;
    let probe = Probe::new(Uuid::now_v7(), "a", Does::Nothing);

    let mut tx = service.db.begin().await.unwrap();
    queue::enqueue(&mut tx, &probe).await.unwrap();
    tx.rollback().await.unwrap();

    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.jobs")
            .await,
        0
    );
}

#[tokio::test]
async fn a_second_request_for_a_live_key_is_the_same_job() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let probe = Probe::new(test, "a", Does::Nothing);

    let first = service.enqueue(&probe).await;
    let second = service.enqueue(&probe).await;
    let both = service
        .enqueue_all(&[NewJob::of(&probe), NewJob::of(&probe)])
        .await;
    let worker = service.work(probes());
    service.drain().await;
    let after = service.enqueue(&probe).await;
    service.drain().await;
    worker.stop().await;

    assert_eq!(second, Enqueued::AlreadyThere(first.id()));
    assert_eq!(both, [second, second]);
    assert!(
        matches!(after, Enqueued::New(_)),
        "a finished job frees its key"
    );
    assert_eq!(probe::started(test), ["a", "a"]);
}

#[tokio::test]
async fn a_job_asked_for_while_it_runs_runs_once_more() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let probe = Probe::new(test, "a", Does::Block);
    let worker = service.work(probes());

    service.enqueue(&probe).await;
    until("it runs", async || probe::started(test).len() == 1).await;
    service.enqueue(&probe).await;
    service.enqueue(&probe).await;
    probe::let_go(test, 2);
    service.drain().await;
    worker.stop().await;

    assert_eq!(probe::started(test), ["a", "a"]);
}

#[tokio::test]
async fn a_failed_run_is_tried_again_and_every_attempt_is_remembered() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());

    let job = service
        .enqueue(&Probe::new(test, "a", Does::Fail { times: 2 }))
        .await;
    service.drain().await;
    worker.stop().await;

    let mut conn = service.db.acquire().await.unwrap();
    let story = look::show(&mut conn, job.id()).await.unwrap().unwrap();
    assert_eq!(story.job.state, "done");
    let outcomes: Vec<_> = story
        .attempts
        .iter()
        .map(|a| (a.attempt, a.outcome.as_str()))
        .collect();
    assert_eq!(outcomes, [(1, "retry"), (2, "retry"), (3, "done")]);
    assert_eq!(
        story.attempts[0].error.as_deref(),
        Some("cannot reach +***"),
        "a phone number is masked"
    );
}

#[tokio::test]
async fn a_job_that_keeps_failing_is_dead_with_its_reason() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());

    let failing = service
        .enqueue(&Probe::new(test, "fails", Does::Fail { times: 99 }))
        .await;
    let panicking = service
        .enqueue(&Probe::new(test, "panics", Does::Panic { times: 99 }))
        .await;
    let stopping = service
        .enqueue(&Probe::new(test, "stops", Does::Stop))
        .await;
    service.drain().await;
    worker.stop().await;

    let mut conn = service.db.acquire().await.unwrap();
    for (job, attempts, note) in [
        (failing, 3, "cannot reach"),
        (panicking, 3, "told to"),
        (stopping, 1, "no use"),
    ] {
        let story = look::show(&mut conn, job.id()).await.unwrap().unwrap();
        assert_eq!(
            (story.job.state.as_str(), story.attempts.len()),
            ("dead", attempts)
        );
        assert!(
            story.job.note.as_deref().unwrap().contains(note),
            "{:?}",
            story.job.note
        );
    }
}

#[tokio::test]
async fn waiting_costs_no_attempt() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());

    service
        .enqueue(&Probe::new(test, "patient", Does::Wait { times: 6 }))
        .await;
    service
        .enqueue(&Probe::new(
            test,
            "later",
            Does::Later(Utc::now() + TimeDelta::days(8)),
        ))
        .await;
    until("the patient one is done", async || {
        probe::started(test)
            .iter()
            .filter(|n| *n == "patient")
            .count()
            == 7
    })
    .await;
    service.ctx.clock.advance(TimeDelta::days(9));
    until("the later one is done", async || {
        service
            .value::<i64>("select count(*) from queue.jobs")
            .await
            == 0
    })
    .await;
    worker.stop().await;

    let failures: i64 = service
        .value("select sum(failures) from queue.finished_jobs where state = 'done'")
        .await;
    assert_eq!(failures, 0);
}

#[tokio::test]
async fn a_kind_this_program_does_not_know_waits_for_one_that_does() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(Register::default());
    service.enqueue(&Probe::new(test, "a", Does::Nothing)).await;
    let other = service.work(probes());
    service.drain().await;
    worker.stop().await;
    other.stop().await;

    assert_eq!(probe::started(test), ["a"]);
    assert_eq!(
        service
            .value::<i32>("select attempt from queue.finished_jobs")
            .await,
        1
    );
}

#[tokio::test]
async fn ten_thousand_jobs_run_once_each_on_two_workers() {
    let service = Service::with(|config| config.worker.default = 100).await;
    let test = Uuid::now_v7();
    let jobs: Vec<_> = (0..10_000)
        .map(|n| {
            NewJob::of(
                &Probe::new(test, &n.to_string(), Does::Nothing).of(&format!("account-{}", n % 50)),
            )
        })
        .collect();

    service.enqueue_all(&jobs).await;
    let (one, two) = (service.work(probes()), service.work(probes()));
    service.drain().await;
    one.stop().await;
    two.stop().await;

    let mut ran = probe::started(test);
    assert_eq!(ran.len(), 10_000);
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), 10_000);
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.finished_jobs where state = 'done'")
            .await,
        10_000
    );
}

#[tokio::test]
async fn a_wish_that_comes_during_the_last_attempt_is_not_lost_with_it() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    let probe = Probe::new(test, "a", Does::BlockThenFail);
    let once = NewJob {
        attempts_max: 1,
        ..NewJob::of(&probe)
    };

    service.enqueue_all(std::slice::from_ref(&once)).await;
    until("it runs", async || probe::started(test).len() == 1).await;
    service.enqueue(&probe).await;
    probe::let_go(test, 1);
    until("it runs again", async || probe::started(test).len() == 2).await;
    probe::let_go(test, 1);
    service.drain().await;
    worker.stop().await;

    let dead: i64 = service
        .value("select count(*) from queue.jobs where state = 'dead'")
        .await;
    assert_eq!((probe::started(test).len(), dead), (2, 1));
}

#[tokio::test]
async fn a_wish_that_comes_during_a_run_is_not_put_off_by_what_that_run_chose() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    let probe = Probe::new(
        test,
        "a",
        Does::BlockThenLater(Utc::now() + TimeDelta::days(3)),
    );

    service.enqueue(&probe).await;
    until("it runs", async || probe::started(test).len() == 1).await;
    service.enqueue(&probe).await;
    probe::let_go(test, 2);
    until("it ran again at once", async || probe::ended(test) == 2).await;
    worker.stop().await;

    let waiting: i64 = service
        .value("select count(*) from queue.jobs where state = 'waiting' and run_at > now() + interval '2 days'")
        .await;
    assert_eq!(waiting, 1, "its second run chose again");
}

#[tokio::test]
async fn a_second_wish_does_not_cut_a_providers_patience_short() {
    let service = Service::new().await;
    let worker = service.work(probes());
    let hour = Duration::from_secs(3600);
    let probe = Probe::new(Uuid::now_v7(), "a", Does::WaitFor(hour));
    service.enqueue(&probe).await;
    let waits = "select count(*) from queue.jobs
                 where state = 'waiting' and failures = 0 and run_at > now() + interval '59 minutes'";
    until("it waits", async || service.value::<i64>(waits).await == 1).await;

    service.enqueue(&probe).await;
    service
        .enqueue_all(&[
            NewJob::of(&probe),
            NewJob::of(&Probe::new(Uuid::now_v7(), "b", Does::Nothing)),
        ])
        .await;

    assert_eq!(service.value::<i64>(waits).await, 1);
    // Once that is over a wish is as good as any.
    service
        .execute("update queue.jobs set not_before = now(), run_at = now() + interval '1 day'")
        .await;
    let runs = probe::started(probe.test).len();
    service.enqueue(&probe).await;
    until("it runs at once", async || {
        probe::started(probe.test).len() > runs
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_second_wish_does_not_undo_a_back_off() {
    let service = Service::new().await;
    let probe = Probe::new(Uuid::now_v7(), "a", Does::Nothing);
    service.enqueue(&probe).await;
    service
        .execute(
            "update queue.jobs set state = 'waiting', failures = 1, run_at = now() + interval '1 hour',
                                   not_before = now() + interval '1 hour'",
        )
        .await;
    let is_kept =
        "select state = 'waiting' and run_at > now() + interval '59 minutes' from queue.jobs";

    service.enqueue(&probe).await;
    assert!(service.value::<bool>(is_kept).await);

    // A person has it run at once: a wish that comes now does not put it off again.
    let mut conn = service.db.acquire().await.unwrap();
    let id: Uuid = service.value("select id from queue.jobs").await;
    let by = By {
        who: "ben",
        why: "it is repaired",
    };
    operate::retry(&mut conn, id, by).await.unwrap();
    service.enqueue(&probe).await;
    let is_due = "select state = 'ready' and run_at <= now() from queue.jobs";
    assert!(service.value::<bool>(is_due).await);

    service
        .execute("update queue.jobs set state = 'waiting', failures = 1, run_at = now() + interval '1 hour'")
        .await;
    // It ran meanwhile, and chose its time by what it found: who knows more asks again.
    service
        .execute("update queue.jobs set not_before = null")
        .await;
    service.enqueue(&probe).await;
    assert!(!service.value::<bool>(is_kept).await);
}

#[tokio::test]
async fn a_failure_keeps_its_back_off_and_a_time_that_was_chosen_keeps_none() {
    let mut service = Service::new().await;
    let mut config = (*service.ctx.config).clone();
    config.worker.backoff_scale = 1000.0;
    service.ctx.config = Arc::new(config);
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    let later = Does::Later(Utc::now() + TimeDelta::days(8));
    for (key, does) in [("fails", Does::Fail { times: 1 }), ("chooses", later)] {
        service.enqueue(&Probe::new(test, key, does)).await;
    }

    until("both have run", async || {
        let waiting = "select count(*) from queue.jobs where state = 'waiting'";
        service.value::<i64>(waiting).await == 2
    })
    .await;
    worker.stop().await;

    let bound = "select count(*) from queue.jobs where not_before = run_at and failures = 1";
    let free = "select count(*) from queue.jobs where not_before is null and failures = 0";
    assert_eq!(service.value::<i64>(bound).await, 1);
    assert_eq!(service.value::<i64>(free).await, 1);
}
