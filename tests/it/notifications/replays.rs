//! What was given up, and what arrived and is wanted again.

use chrono::TimeDelta;
use tollkeeper::{
    notify::operate::{self, OperateError},
    queue::{look, operate as jobs},
    worker::Register,
};
use tollkeeper_jobs::{
    DeliverNotification, Job, PruneHistory, deliver_notification::keys_begin_with,
};
use uuid::Uuid;

use super::{App, BY, Teller, threshold};
use crate::support::{service::Worker, subscriber::answers, until};

/// A delivery that died of its endpoint, and the notification's id.
async fn with_a_dead_delivery() -> (Teller, App, Worker, Uuid) {
    let teller = Teller::new().await;
    let app = teller.app(&[]).await;
    app.subscriber.behave(answers(500));
    let worker = teller.service.work(Register::all());
    let id = teller.announce(&[threshold(80)]).await[0];
    until("the delivery is dead", async || {
        // Its last attempts: three days are not to be waited for.
        teller
            .service
            .execute(
                "update queue.jobs set failures = attempts_max - 1
                 where kind = 'deliver_notification' and state = 'waiting' and failures between 1 and 9",
            )
            .await;
        !states(&teller, id).await.is_empty() && states(&teller, id).await[0] == "dead"
    })
    .await;
    app.subscriber.behave(answers(200));
    (teller, app, worker, id)
}

/// The deliveries' states, the newest first.
async fn states(teller: &Teller, id: Uuid) -> Vec<String> {
    let mut conn = teller.service.db.acquire().await.unwrap();
    let kind = DeliverNotification::KIND;
    let found = look::with_keys(&mut conn, kind, &keys_begin_with(id)).await;
    found.unwrap().into_iter().map(|job| job.state).collect()
}

#[tokio::test]
async fn a_dead_delivery_can_be_replayed() {
    let (teller, app, worker, id) = with_a_dead_delivery().await;
    let (before, mut conn) = (
        app.subscriber.told().len(),
        teller.service.db.acquire().await.unwrap(),
    );
    let note: String = teller
        .service
        .value("select note from queue.jobs where state = 'dead'")
        .await;
    assert_eq!(
        note, "the endpoint answered 500",
        "and not a word of its URL"
    );

    assert_eq!(operate::replay(&mut conn, id, None, BY).await.unwrap(), 1);
    teller.service.ctx.wake.ring();
    teller.service.drain().await;
    assert_eq!(states(&teller, id).await, ["done", "dead"]);
    // The dead one is still there for whoever prefers it.
    let dead = teller.service.value("select id from queue.jobs").await;
    jobs::retry(&mut conn, dead, BY).await.unwrap();
    teller.service.ctx.wake.ring();
    teller.service.drain().await;
    worker.stop().await;

    assert_eq!(states(&teller, id).await, ["done", "done"]);
    let told = app.subscriber.told();
    assert_eq!(told.len(), before + 2);
    let id = id.to_string();
    assert!(told.iter().all(|told| told.header("webhook-id") == id));
}

#[tokio::test]
async fn what_arrived_is_told_again_when_an_operator_wants_it() {
    let teller = Teller::new().await;
    let apps = [
        teller.app(&[]).await,
        teller.app(&["usage.threshold"]).await,
    ];
    let worker = teller.service.work(Register::all());
    let id = teller.announce(&[threshold(80)]).await[0];
    teller.service.drain().await;
    let other = teller.app(&["payment.failed"]).await;
    let mut conn = teller.service.db.acquire().await.unwrap();

    let all = operate::replay(&mut conn, id, None, BY).await.unwrap();
    teller.service.drain().await;
    let one = operate::replay(&mut conn, id, Some(other.endpoint_id), BY).await;
    let unknown = operate::replay(&mut conn, Uuid::now_v7(), None, BY).await;
    teller.service.drain().await;
    worker.stop().await;

    assert_eq!((all, one.unwrap()), (2, 1));
    assert!(matches!(unknown, Err(OperateError::NoNotification(_))));
    assert_eq!(apps[0].subscriber.told().len(), 2);
    assert_eq!(apps[1].subscriber.told().len(), 2);
    assert_eq!(other.subscriber.told().len(), 1);
}

#[tokio::test]
async fn notifications_are_forgotten_after_a_quarter() {
    let teller = Teller::new().await;
    teller.announce(&[threshold(80)]).await;
    teller
        .service
        .execute("update notifications set created_at = now() - interval '91 days'")
        .await;
    teller.announce(&[threshold(100)]).await;
    let worker = teller.service.work(Register::all());

    let tick_at = teller.service.ctx.clock.now() + TimeDelta::zero();
    teller.service.enqueue(&PruneHistory { tick_at }).await;
    teller.service.drain().await;
    worker.stop().await;

    let left: String = teller
        .service
        .value("select string_agg(occasion, ' ') from notifications")
        .await;
    assert_eq!(left, "2026-11 calls 100");
}
