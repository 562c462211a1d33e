//! How an idle process learns what is ready: nothing is claimed in vain, and others are told which lanes.

use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{
    probe::{Does, Probe, probes},
    service::Service,
    until,
};

#[tokio::test]
async fn a_lane_claims_when_it_is_told_and_not_while_all_are_empty() {
    let service = Service::new().await;
    service
        .execute("create sequence claims minvalue 0 start 0")
        .await;
    service
        .execute(
            "do $$ begin
                 execute replace(pg_get_functiondef('queue.claim'::regproc), 'return query',
                                 'perform nextval(''public.claims''); return query');
                 perform nextval('claims');
             end $$",
        )
        .await;
    let worker = service.work(probes());
    let claims =
        async |wanted| service.value::<i64>("select last_value from claims").await == wanted;
    until("each of the four lanes claimed once", async || {
        claims(4).await
    })
    .await;

    // A look asks this index once for each lane, a claim once.
    until("it has looked again and again", async || {
        let looked =
            "select idx_scan from pg_stat_user_indexes where indexrelname = 'jobs_suspect'";
        service.value::<i64>(looked).await > 4 + 5 * 4
    })
    .await;
    assert!(claims(4).await, "an idle process claims nothing");

    service.execute("notify tollkeeper_jobs, 'voice'").await;
    until("one lane claimed", async || claims(5).await).await;
    service
        .execute("notify tollkeeper_jobs, 'money bulk'")
        .await;
    until("two lanes claimed", async || claims(7).await).await;
    worker.stop().await;
}

#[tokio::test]
async fn other_processes_are_told_the_lanes_that_have_something_ready() {
    let service = Service::new().await;
    let mut told = PgListener::connect_with(&service.db).await.unwrap();
    told.listen("tollkeeper_jobs").await.unwrap();
    let stop = CancellationToken::new();
    let telling = tokio::spawn(
        service
            .ctx
            .wake
            .clone()
            .tell_others(service.ctx.pools.queue.clone(), stop.clone()),
    );

    let test = Uuid::now_v7();
    // Of what is not ready there is nothing to tell.
    service
        .execute(
            "insert into queue.jobs (id, kind, key, lane, state, run_at, attempts_max, version, payload)
             select gen_random_uuid(), 'of another program', state, 'money', state, now() + interval '1 day', 1, 1, '{}'
             from unnest(array['waiting', 'dead']) state",
        )
        .await;
    service.ctx.wake.ring();
    service.enqueue(&Probe::new(test, "a", Does::Nothing)).await;
    assert_eq!(told.recv().await.unwrap().payload(), "default");

    service
        .execute("update queue.jobs set state = 'ready', crashes = 1 where state = 'waiting'")
        .await;
    service.ctx.wake.ring();
    let lanes = loop {
        let told = told.recv().await.unwrap();
        if told.payload().contains("money") {
            break told.payload().to_owned();
        }
    };
    assert_eq!(lanes, "money default");
    stop.cancel();
    telling.await.unwrap();
}
