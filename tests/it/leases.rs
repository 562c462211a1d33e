//! Leases: who may write, and what becomes of the runs of a worker that is gone.

use chrono::{TimeDelta, Utc};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
};

#[tokio::test]
async fn a_run_whose_job_was_claimed_again_writes_nothing() {
    loses_its_job("update queue.jobs set attempt = attempt + 1, worker = 'another'").await;
}

#[tokio::test]
async fn a_run_whose_token_is_not_the_jobs_any_more_writes_nothing() {
    loses_its_job("update queue.jobs set lease_token = gen_random_uuid(), worker = 'another'")
        .await;
}

/// Each half of the fence alone keeps a stale run out.
async fn loses_its_job(taken_over: &'static str) {
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
    service.execute(taken_over).await;
    probe::let_go(test, 2);
    until("both ended", async || probe::ended(test) == 2).await;
    worker.stop().await;

    let count = async |sql| service.value::<i64>(sql).await;
    assert_eq!(count("select count(*) from accounts").await, 0);
    assert_eq!(count("select count(*) from queue.finished_jobs").await, 0);
    let theirs = "select count(*) from queue.jobs where worker = 'another' and state = 'running'";
    assert_eq!(count(theirs).await, 2);
}

#[tokio::test]
async fn a_claim_that_was_refused_its_turn_leaves_no_transaction_behind() {
    let service = Service::new().await;
    // Somebody has the turn of the lane.
    let mut elsewhere = service.db.acquire().await.unwrap();
    let turn = async |conn: &mut sqlx::PgConnection, what: &'static str| {
        sqlx::query(what).execute(conn).await.unwrap();
    };
    turn(&mut elsewhere, "select pg_advisory_lock(7238113, 3)").await;
    let worker = service.work(probes());
    let test = Uuid::now_v7();
    service.enqueue(&Probe::new(test, "a", Does::Nothing)).await;
    until("a claim waits", async || {
        let waits = "select exists (select from pg_stat_activity
             where datname = current_database() and wait_event = 'advisory')";
        service.value::<bool>(waits).await
    })
    .await;

    let refuse = "with waiting as materialized (
             select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory')
         select count(*) from waiting where pg_cancel_backend(pid)";
    assert_eq!(service.value::<i64>(refuse).await, 1);
    turn(&mut elsewhere, "select pg_advisory_unlock(7238113, 3)").await;

    until("it runs", async || probe::ended(test) == 1).await;
    until("no transaction is open", async || {
        let open = "select count(*) from pg_stat_activity
             where datname = current_database() and state like 'idle in transaction%'";
        service.value::<i64>(open).await == 0
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn the_start_gate_stays_shut_for_a_claim_that_was_lost() {
    let service = Service::with_slow_claims(|_| {}).await;
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
async fn a_worker_that_stops_leaves_nothing_claimed() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    for round in 0..25 {
        let worker = service.work(probes());
        let jobs =
            (0..40).map(|n| NewJob::of(&Probe::new(test, &format!("{round}.{n}"), Does::Nothing)));
        service.enqueue_all(&jobs.collect::<Vec<_>>()).await;
        worker.stop().await;

        let claimed: i64 = service
            .value("select count(*) from queue.jobs where state = 'running'")
            .await;
        assert_eq!(claimed, 0, "in round {round}");
    }
    let worker = service.work(probes());
    service.drain().await;
    worker.stop().await;

    assert_eq!(probe::ended(test), 1000);
}
