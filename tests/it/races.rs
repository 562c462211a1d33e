//! What may happen between two statements of the queue: somebody's open transaction, a second run of
//! the same job, a worker without a free connection.

use std::time::Duration;

use tollkeeper::{
    config::Config,
    queue::{
        self,
        look::Filter,
        operate::{self, By},
    },
};
use tollkeeper_jobs::{NewJob, ProvisionSubaccount};
use uuid::Uuid;

use crate::support::{
    api::{Api, Setup, token},
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
};

const BY: By<'_> = By {
    who: "ann",
    why: "a test",
};

fn short_lease(config: &mut Config) {
    config.worker.lease = Duration::from_millis(900);
}

/// By the database's clock.
async fn pass(service: &Service, time: Duration) {
    let now: chrono::DateTime<chrono::Utc> = service.value("select clock_timestamp()").await;
    until("some time has passed", async || {
        service
            .value::<chrono::DateTime<chrono::Utc>>("select clock_timestamp()")
            .await
            > now + time
    })
    .await;
}

/// Somebody of this database waits for a lock.
async fn until_blocked(service: &Service, sessions: i64) {
    until("sessions wait for a lock", async || {
        let waiting: i64 = service
            .value(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'",
            )
            .await;
        waiting >= sessions
    })
    .await;
}

#[tokio::test]
async fn a_wish_that_is_not_committed_keeps_no_other_jobs_lease_from_being_renewed() {
    let service = Service::with(short_lease).await;
    let test = Uuid::now_v7();
    let wished = Probe::new(test, "wished", Does::Block);
    let worker = service.work(probes());
    service.enqueue(&wished).await;
    for name in ["b", "c", "d"] {
        service.enqueue(&Probe::new(test, name, Does::Block)).await;
    }
    until("all run", async || probe::started(test).len() == 4).await;

    let mut tx = service.db.begin().await.unwrap();
    queue::enqueue(&mut tx, &wished).await.unwrap();
    pass(&service, Duration::from_secs(3)).await;
    let held: i64 = service
        .value("select count(*) from queue.jobs where key <> 'wished' and lease_until > now() and attempt = 1")
        .await;
    tx.rollback().await.unwrap();
    probe::let_go(test, 8);
    service.drain().await;
    worker.stop().await;

    assert_eq!(held, 3);
    let crashes: i64 = service
        .value("select count(*) from queue.job_attempts where outcome = 'crash' and job_id <> (select id from queue.finished_jobs where key = 'wished')")
        .await;
    assert_eq!(crashes, 0);
}

#[tokio::test]
async fn of_two_runs_of_a_job_that_ask_at_once_only_the_one_that_holds_it_starts() {
    let service = Service::with_slow_claims(|config| config.worker.default = 40).await;
    let test = Uuid::now_v7();
    let names: Vec<String> = (0..7).map(|n| format!("twice {n}")).collect();
    service
        .enqueue(&Probe::new(test, "first", Does::Nothing))
        .await;
    // The start gate waits over the first, a suspect, whose start is written; whoever comes meanwhile is
    // asked about together.
    service.execute("update queue.jobs set crashes = 1").await;
    service
        .execute(
            "create function hold_start() returns trigger language plpgsql as $$
             begin if old.key = 'first' then perform pg_advisory_xact_lock(42); end if; return new; end $$",
        )
        .await;
    service
        .execute(
            "create trigger hold_start before update on queue.jobs for each row
             when (old.started_at is null and new.started_at is not null) execute function hold_start()",
        )
        .await;
    let mut gate = service.db.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(42)")
        .execute(&mut *gate)
        .await
        .unwrap();
    let worker = service.work(probes());
    until_blocked(&service, 1).await;
    for name in &names {
        service
            .enqueue(&Probe::new(test, name, Does::Block).of(name))
            .await;
    }
    let at_attempt = async |attempt: i32| {
        until("they are claimed", async || {
            let claimed: i64 = sqlx::query_scalar(
                "select count(*) from queue.jobs where key like 'twice%' and state = 'running' and attempt = $1",
            )
            .bind(attempt)
            .fetch_one(&service.db)
            .await
            .unwrap();
            claimed == 7
        })
        .await;
    };
    at_attempt(1).await;
    // What a sweep does that finds their leases run out.
    service
        .execute(
            "update queue.jobs set state = 'ready', lease_token = null, lease_until = null
             where key like 'twice%' and state = 'running'",
        )
        .await;
    at_attempt(2).await;
    gate.commit().await.unwrap();
    until("the second runs have started", async || {
        probe::now(test) >= 7
    })
    .await;
    let running = probe::now(test);
    probe::let_go(test, 40);
    service.drain().await;
    worker.stop().await;

    assert_eq!(running, 7, "no job is run by two at once");
    assert_eq!(probe::started(test).len(), 8);
}

#[tokio::test]
async fn runs_that_hold_every_connection_keep_no_lease_from_being_renewed() {
    let service = Service::with(short_lease).await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    service.enqueue(&Probe::new(test, "a", Does::Block)).await;
    until("it runs", async || probe::started(test).len() == 1).await;

    let mut taken = Vec::new();
    let work = &service.ctx.pools.work;
    while let Ok(Ok(one)) = tokio::time::timeout(Duration::from_secs(1), work.acquire()).await {
        taken.push(one);
    }
    pass(&service, Duration::from_secs(3)).await;
    let is_held: bool = service
        .value("select lease_until > now() and attempt = 1 from queue.jobs")
        .await;
    drop(taken);
    probe::let_go(test, 2);
    service.drain().await;
    worker.stop().await;

    assert!(is_held);
    assert_eq!(probe::started(test), ["a"]);
}

#[tokio::test]
async fn a_run_that_lost_track_of_its_lease_gives_its_job_back_uncharged() {
    let service = Service::with(short_lease).await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    service
        .enqueue(&Probe::new(test, "a", Does::LoseTrack { times: 1 }))
        .await;
    service.drain().await;
    worker.stop().await;

    let outcomes: String = service
        .value(concat!(
            "select string_agg(outcome, ' ' order by attempt) from ",
            crate::support::every_run!(),
            " run"
        ))
        .await;
    assert_eq!(outcomes, "later done");
}

#[tokio::test]
async fn an_order_and_a_sync_of_the_same_account_do_not_lock_each_other_out() {
    let api = Api::start_with(Setup {
        provision_wait: Duration::ZERO,
        ..Setup::default()
    })
    .await;
    api.subscriber("ann", "repx1", "active").await;
    let service = Service {
        ctx: api.ctx.clone(),
        db: api.db.clone(),
    };
    // What a sync does: the account first, then the job it asks for.
    let mut sync = api.db.begin().await.unwrap();
    sqlx::query("select from accounts where account_id = 'ann' for update")
        .execute(&mut *sync)
        .await
        .unwrap();
    let order = serde_json::json!({ "email": "ann@example.com", "subscriptionTier": "repx1" });
    let token = token("ann");
    let ask = api.post("/api/subscription/provision-twilio", &token, order);
    let go_on = async {
        until_blocked(&service, 1).await;
        let job = ProvisionSubaccount {
            account_id: "ann".into(),
        };
        queue::enqueue(&mut sync, &job).await?;
        sync.commit().await
    };
    let (answer, synced) = tokio::join!(ask, go_on);

    synced.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
}

#[tokio::test]
async fn retrying_all_that_match_goes_on_beside_a_new_request_for_one_of_them() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let jobs: Vec<NewJob> = (0..20)
        .map(|n| NewJob::of(&Probe::new(test, &n.to_string(), Does::Nothing)))
        .collect();
    service.enqueue_all(&jobs).await;
    service
        .execute("update queue.jobs set state = 'dead', note = 'as told'")
        .await;

    let mut tx = service.db.begin().await.unwrap();
    queue::enqueue_all(&mut tx, &jobs[7..8]).await.unwrap();
    let filter = Filter {
        state: Some("dead".into()),
        ..Filter::default()
    };
    let retry = async {
        let mut conn = service.db.acquire().await.unwrap();
        operate::retry_matching(&mut conn, &filter, BY).await
    };
    let commit = async {
        until_blocked(&service, 1).await;
        tx.commit().await.unwrap();
    };
    let (retried, ()) = tokio::join!(retry, commit);

    assert_eq!(retried.unwrap(), 19);
    let mut conn = service.db.acquire().await.unwrap();
    let left = operate::count_matching(&mut conn, &filter).await.unwrap();
    assert_eq!(
        left, 0,
        "the newer one stands in the way of its dead forerunner"
    );
    let ready: i64 = service
        .value("select count(*) from queue.jobs where state = 'ready'")
        .await;
    assert_eq!(ready, 20);
}

#[tokio::test]
async fn the_end_of_many_runs_and_a_wish_for_some_of_them_do_not_lock_each_other_out() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let names = ["a", "b", "c", "d"];
    let jobs = names.map(|name| Probe::new(test, name, Does::Block));
    for job in &jobs {
        service.enqueue(job).await;
    }
    let worker = service.work(probes());
    until("all run", async || probe::now(test) == 4).await;

    // Whoever asks for two of them again has asked for one, and takes its time.
    let mut wish = service.db.begin().await.unwrap();
    queue::enqueue(&mut wish, &jobs[2]).await.unwrap();
    probe::let_go(test, 4);
    until("the ends of the others are written", async || {
        let ended: i64 = service
            .value("select count(*) from queue.finished_jobs")
            .await;
        ended == 3
    })
    .await;
    queue::enqueue(&mut wish, &jobs[1]).await.unwrap();
    let waiting: i64 = service
        .value("select count(*) from queue.jobs where state = 'running'")
        .await;
    assert_eq!(waiting, 1, "the end of the one that was asked for");
    wish.commit().await.unwrap();
    probe::let_go(test, 2);
    service.drain().await;
    worker.stop().await;

    assert_eq!(
        probe::started(test).len(),
        6,
        "two of them once more, as was wished"
    );
}

#[tokio::test]
async fn the_end_of_a_run_is_written_though_the_wish_it_waited_for_is_taken_back() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let job = Probe::new(test, "a", Does::Block);
    service.enqueue(&job).await;
    let worker = service.work(probes());
    until("it runs", async || probe::now(test) == 1).await;
    let mut wish = service.db.begin().await.unwrap();
    queue::enqueue(&mut wish, &job).await.unwrap();
    probe::let_go(test, 1);
    until("it has ended", async || probe::ended(test) == 1).await;
    wish.rollback().await.unwrap();
    service.drain().await;
    worker.stop().await;

    assert_eq!(probe::started(test).len(), 1);
    let told: String = service
        .value("select string_agg(state || ' ' || attempt, ', ') from queue.finished_jobs")
        .await;
    assert_eq!(told, "done 1");
}
