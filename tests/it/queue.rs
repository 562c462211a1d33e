//! The promises of the queue, through real workers.

use chrono::{TimeDelta, Utc};
use tollkeeper::{
    queue::{self, Enqueued, look},
    worker::Register,
};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe},
    service::Service,
    until,
};

fn probes() -> Register {
    Register::default().with::<Probe>()
}

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
async fn a_run_that_lost_its_lease_writes_nothing() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    service
        .enqueue(&Probe::new(test, "writes", Does::BlockThenWrite))
        .await;
    service
        .enqueue(&Probe::new(test, "ends", Does::Block))
        .await;
    until("both run", async || probe::started(test).len() == 2).await;

    // Another worker took both over while these two slept.
    service.execute("update queue.jobs set attempt = attempt + 1, lease_token = gen_random_uuid(), worker = 'another'").await;
    probe::let_go(test, 2);
    until("both ended", async || probe::ended(test) == 2).await;
    worker.stop().await;

    assert_eq!(
        service.value::<i64>("select count(*) from accounts").await,
        0
    );
    assert_eq!(
        service
            .value::<i64>(
                "select count(*) from queue.jobs where worker = 'another' and state = 'running'"
            )
            .await,
        2
    );
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.finished_jobs")
            .await,
        0
    );
}

#[tokio::test]
async fn the_start_gate_stays_shut_for_a_claim_that_was_lost() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    service.enqueue(&Probe::new(test, "a", Does::Nothing)).await;
    // The claim's answer names a token that is already another's when the run starts.
    service.execute("create function steal_after() returns trigger language plpgsql as $$
        begin update queue.jobs set lease_token = gen_random_uuid() where id = new.id; return null; end $$").await;
    service
        .execute(
            "create trigger steal after update on queue.jobs for each row
        when (old.state = 'ready' and new.state = 'running') execute function steal_after()",
        )
        .await;

    let worker = service.work(probes());
    until("it was claimed", async || {
        service
            .value::<i64>("select count(*) from queue.jobs where state = 'running'")
            .await
            == 1
    })
    .await;
    worker.stop().await;

    assert_eq!(probe::started(test), Vec::<String>::new());
}

#[tokio::test]
async fn a_dead_workers_job_runs_again_and_poison_dies_with_its_reason() {
    let service =
        Service::with(|config| config.worker.lease = std::time::Duration::from_secs(1)).await;
    let test = Uuid::now_v7();
    for name in ["first crash", "third crash", "never started"] {
        service
            .enqueue(&Probe::new(test, name, Does::Nothing))
            .await;
    }
    // What kill -9 leaves behind: rows that say running, and nobody who renews them.
    service.execute(
        "update queue.jobs set state = 'running', attempt = 1, worker = 'killed', lease_token = gen_random_uuid(),
                lease_until = now() - interval '1 second', claimed_at = now() - interval '2 seconds',
                started_at = case key when 'never started' then null else now() - interval '2 seconds' end,
                crashes = case key when 'first crash' then 0 else 2 end",
    ).await;

    let worker = service.work(probes());
    service.drain().await;
    worker.stop().await;

    let mut ran = probe::started(test);
    ran.sort();
    assert_eq!(ran, ["first crash", "never started"]);
    assert_eq!(
        service
            .value::<String>("select note from queue.jobs where state = 'dead'")
            .await,
        "its worker did not survive it 3 times"
    );
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.job_attempts where outcome = 'crash'")
            .await,
        3
    );
    assert_eq!(
        service
            .value::<i32>("select crashes from queue.finished_jobs where key = 'first crash'")
            .await,
        1
    );
    assert_eq!(
        service
            .value::<i32>("select failures from queue.finished_jobs where key = 'first crash'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_long_run_keeps_its_job_by_renewing_the_lease() {
    let service =
        Service::with(|config| config.worker.lease = std::time::Duration::from_millis(300)).await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    service
        .enqueue(&Probe::new(test, "long", Does::Block))
        .await;
    until("it runs", async || probe::started(test).len() == 1).await;

    let first: chrono::DateTime<Utc> = service.value("select lease_until from queue.jobs").await;
    until(
        "the lease was renewed well past its first end",
        async || {
            service
                .value::<chrono::DateTime<Utc>>("select lease_until from queue.jobs")
                .await
                > first + TimeDelta::seconds(2)
        },
    )
    .await;
    probe::let_go(test, 1);
    service.drain().await;
    worker.stop().await;

    assert_eq!(probe::started(test), ["long"]);
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.job_attempts where outcome <> 'done'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_drain_gives_back_what_did_not_finish_without_charging_it() {
    let service =
        Service::with(|config| config.worker.drain = std::time::Duration::from_millis(50)).await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    for n in 0..30 {
        service
            .enqueue(&Probe::new(test, &format!("{n}"), Does::Block))
            .await;
    }
    until("every slot is taken", async || {
        probe::started(test).len() == 8
    })
    .await;

    worker.stop().await;

    let charged: i64 = service
        .value(
            "select count(*) from queue.jobs where state <> 'ready' or failures > 0 or crashes > 0",
        )
        .await;
    assert_eq!(
        (
            charged,
            service
                .value::<i64>("select count(*) from queue.jobs")
                .await
        ),
        (0, 30)
    );
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
