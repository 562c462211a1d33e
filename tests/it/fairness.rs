//! Turns, caps and pauses.

use serde_json::json;
use tollkeeper::{
    queue::operate::{self, By, Scope},
    worker::Register,
};
use tollkeeper_jobs::{HandleStripeEvent, NewJob};
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
    web::Web,
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
async fn an_event_and_what_it_asks_for_take_their_turn_among_the_jobs_of_its_account() {
    let web = Web::start().await;
    web.service
        .execute("insert into accounts (account_id) values ('ann')")
        .await;
    web.service
        .execute(
            "insert into stripe_customers (customer_ref, account_id) values ('cus_known', 'ann')",
        )
        .await;
    let named = json!({ "user_id": "bob" });
    for (subscription, customer, metadata, account) in [
        ("sub_known", "cus_known", json!({}), "ann"),
        ("sub_both", "cus_known", named.clone(), "ann"),
        ("sub_named", "cus_new", named, "bob"),
        ("sub_nobodys", "cus_new", json!({}), ""),
        // No text column takes it: it fails nobody's transaction.
        ("sub_odd", "cus_\0", json!({}), ""),
    ] {
        let object = json!({
            "object": "invoice", "id": "in_1", "customer": customer,
            "subscription": subscription, "metadata": metadata,
        });
        let event = json!({ "id": format!("evt_{subscription}"), "type": "invoice.paid", "data": { "object": object } });
        let body = event.to_string();
        let answer = web.stripe("/stripe/webhook", body.as_bytes()).await;
        assert_eq!(answer.status(), 200);
        let turn = "select account_id from queue.jobs where kind = 'handle_stripe_event'";
        assert_eq!(web.service.value::<String>(turn).await, account, "{event}");

        let worker = web
            .service
            .work(Register::default().with::<HandleStripeEvent>());
        until("it asked for its subscription", async || {
            let asked = "select count(*) = 1 from queue.jobs where kind = 'sync_subscription'";
            web.service.value::<bool>(asked).await
        })
        .await;
        worker.stop().await;
        let turn = "select account_id from queue.jobs";
        assert_eq!(web.service.value::<String>(turn).await, account, "{event}");
        web.service.execute("delete from queue.jobs").await;
    }
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
        .map(|n| NewJob::of(&Probe::new(test, &n.to_string(), Does::Block).of(&n.to_string())))
        .collect();

    service.enqueue_all(&jobs).await;
    let workers = [
        service.work(probes()),
        service.work(probes()),
        service.work(probes()),
    ];
    until("its cap runs", async || probe::started(test).len() == 2).await;
    probe::let_go(test, 60);
    service.drain().await;
    for worker in workers {
        worker.stop().await;
    }

    assert_eq!((probe::most_at_once(test), probe::ended(test)), (2, 60));
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
