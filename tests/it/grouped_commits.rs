//! The way of webhooks into the database: many in one commit, and what happens when there are too many.

use std::{ops::Range, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;
use tollkeeper::{
    db::webhooks::{NewWebhook, Provider, State},
    http::receiver::{Delivery, NotStored, Store, Stored},
};
use uuid::Uuid;

use crate::support::{until, web::Web};

async fn rows(web: &Web) -> i64 {
    web.service.value("select count(*) from webhooks").await
}

/// Every commit hangs until this transaction ends.
async fn locked(web: &Web) -> Transaction<'static, Postgres> {
    let mut tx = web.service.db.begin().await.unwrap();
    sqlx::raw_sql("lock table webhooks in access exclusive mode")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx
}

/// A webhook for the store itself.
fn delivery(provider: Provider, event_key: &str) -> Delivery {
    Delivery {
        webhook: NewWebhook {
            id: Uuid::now_v7(),
            provider,
            event_key: event_key.into(),
            kind: "any".into(),
            endpoint: String::new(),
            headers: json!({}),
            body: Vec::new(),
            state: State::Held,
        },
        job: None,
        customer_ref: None,
    }
}

/// Each put by a task of its own.
fn begun(store: &Store, keys: Range<usize>) -> Vec<JoinHandle<Result<Stored, NotStored>>> {
    keys.map(|at| {
        let store = store.clone();
        let one = delivery(Provider::Stripe, &format!("evt_{at}"));
        tokio::spawn(async move { store.put(one).await })
    })
    .collect()
}

/// Wait until so many commits hang, and never more.
async fn under_way(web: &Web, expected: i64) {
    until("the commits are under way", async || {
        let waiting: i64 = web
            .service
            .value(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'",
            )
            .await;
        assert!(waiting <= expected, "{waiting} commits under way");
        waiting == expected
    })
    .await;
}

/// Given to the store in one breath, before it can begin with any.
async fn stored_together(web: &Web, keys: &[String]) -> Vec<Result<Stored, NotStored>> {
    let (store, _task) = Store::start(&web.service.ctx);
    let puts = keys
        .iter()
        .map(|key| store.put(delivery(Provider::Stripe, key)));
    join_all(puts).await
}

#[tokio::test]
async fn webhooks_that_arrive_together_share_a_commit() {
    let web = Web::start().await;
    let keys: Vec<String> = (0..40).map(|at| format!("evt_{at}")).collect();

    let outcomes = stored_together(&web, &keys).await;

    assert_eq!(outcomes, vec![Ok(Stored::New); 40]);
    let commits: i64 = web
        .service
        .value("select count(distinct xmin::text) from webhooks")
        .await;
    assert_eq!(commits, 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_stored_fails_alone() {
    let web = Web::start().await;
    web.service
        .execute("alter table webhooks add check (event_key <> 'evt_10')")
        .await;
    let keys: Vec<String> = (0..20).map(|at| format!("evt_{at}")).collect();

    let outcomes = stored_together(&web, &keys).await;

    for (at, outcome) in outcomes.into_iter().enumerate() {
        let expected = match at {
            10 => Err(NotStored::Refused),
            _ => Ok(Stored::New),
        };
        assert_eq!(outcome, expected, "number {at}");
    }
    assert_eq!(rows(&web).await, 19);
}

#[tokio::test]
async fn what_comes_while_a_commit_is_under_way_waits_for_company_or_for_its_end_but_not_for_long()
{
    let web = Web::with(|config| config.http.store_deadline = Duration::from_secs(20)).await;
    let (store, _task) = Store::start(&web.service.ctx);
    let blocked = locked(&web).await;
    let put = |keys: Range<usize>| begun(&store, keys);

    let mut all = put(0..1);
    under_way(&web, 1).await;
    all.extend(put(1..4));
    under_way(&web, 1).await;
    all.extend(put(4..17));
    under_way(&web, 2).await;
    // Nobody comes to this one, and neither commit ends.
    all.extend(put(17..18));
    under_way(&web, 3).await;
    all.extend(put(18..20));
    blocked.rollback().await.unwrap();

    for one in all {
        assert_eq!(one.await.unwrap(), Ok(Stored::New));
    }
    let sizes: Vec<i64> =
        sqlx::query_scalar("select count(*) from webhooks group by xmin::text order by 1")
            .fetch_all(&web.service.db)
            .await
            .unwrap();
    assert_eq!(sizes, [1, 1, 2, 16]);
}

/// Two groups at once, so that the writer has two connections to spare.
async fn with_two_spare_connections(web: &Web, store: &Store) {
    let blocked = locked(web).await;
    let mut all = begun(store, 0..1);
    under_way(web, 1).await;
    all.extend(begun(store, 1..17));
    under_way(web, 2).await;
    blocked.rollback().await.unwrap();
    for one in all {
        assert_eq!(one.await.unwrap(), Ok(Stored::New));
    }
}

#[tokio::test]
async fn connections_that_broke_between_groups_cost_one_group_and_no_acknowledged_webhook() {
    // So long that it holds on to them to the end of the test.
    let web = Web::with(|config| config.http.store_deadline = Duration::from_secs(600)).await;
    let (store, _task) = Store::start(&web.service.ctx);
    with_two_spare_connections(&web, &store).await;

    web.service
        .execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity
             where datname = current_database() and query like '%insert into webhooks%'
             and pid <> pg_backend_pid()",
        )
        .await;
    let first = store.put(delivery(Provider::Stripe, "first")).await;
    let second = store.put(delivery(Provider::Stripe, "second")).await;

    assert_eq!(second, Ok(Stored::New));
    assert_eq!(rows(&web).await, 17 + 1 + i64::from(first.is_ok()));
}

#[tokio::test]
async fn connections_that_nothing_follows_on_go_back_to_the_pool() {
    let web = Web::with(|config| config.http.store_deadline = Duration::from_secs(5)).await;
    let (store, _task) = Store::start(&web.service.ctx);
    with_two_spare_connections(&web, &store).await;

    let pool = &web.service.ctx.pools.ingest;
    until("all connections are back", async || {
        pool.num_idle() >= 2 && pool.num_idle() == pool.size() as usize
    })
    .await;
}

#[tokio::test]
async fn more_than_can_wait_is_refused_at_once_and_twilio_keeps_a_reserve() {
    let web = Web::with(|config| config.http.store_deadline = Duration::from_secs(20)).await;
    let (store, _task) = Store::start(&web.service.ctx);
    let blocked = locked(&web).await;
    let flood: Vec<_> = (0..900)
        .map(|at| {
            let (store, delivery) = (
                store.clone(),
                delivery(Provider::Stripe, &format!("evt_{at}")),
            );
            tokio::spawn(async move { store.put(delivery).await })
        })
        .collect();
    until("the flood is refused", async || {
        flood.iter().filter(|one| one.is_finished()).count() >= 80
    })
    .await;
    let call = tokio::spawn({
        let (store, delivery) = (store.clone(), delivery(Provider::Twilio, "call"));
        async move { store.put(delivery).await }
    });
    blocked.rollback().await.unwrap();

    assert_eq!(call.await.unwrap(), Ok(Stored::New));
    let outcomes: Vec<_> = join_all(flood)
        .await
        .into_iter()
        .map(|one| one.unwrap())
        .collect();
    let stored = outcomes
        .iter()
        .filter(|one| **one == Ok(Stored::New))
        .count();
    let busy = outcomes
        .iter()
        .filter(|one| **one == Err(NotStored::Busy))
        .count();
    assert_eq!(stored + busy, 900);
    assert_eq!(
        rows(&web).await,
        stored as i64 + 1,
        "acknowledged means stored"
    );
}
