//! From the announcement to the app.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tollkeeper::{notify, worker::Register};
use tollkeeper_jobs::NewNotification;

use super::{Teller, threshold};
use crate::support::{
    subscriber::{Manner, answers},
    until,
};

#[tokio::test]
async fn an_announcement_reaches_every_endpoint_that_wants_it_signed() {
    let teller = Teller::new().await;
    let all = teller.app(&[]).await;
    let usage = teller.app(&["payment.failed", "usage.threshold"]).await;
    let payments = teller.app(&["payment.failed"]).await;
    let worker = teller.service.work(Register::all());

    let id = teller.announce(&[threshold(80)]).await[0];
    teller.service.drain().await;
    worker.stop().await;

    for (app, other) in [(&all, &usage), (&usage, &all)] {
        let told = app.subscriber.told();
        assert_eq!(told.len(), 1);
        let told = &told[0];
        assert_eq!(told.path, "/hook");
        assert_eq!(told.header("webhook-id"), id.to_string());
        assert_eq!(told.header("content-type"), "application/json");
        assert!(told.header("user-agent").starts_with("tollkeeper/"));
        assert!(told.is_signed_by(&app.secret) && !told.is_signed_by(&other.secret));
        let at: i64 = told.header("webhook-timestamp").parse().unwrap();
        assert!((teller.service.ctx.clock.now().timestamp() - at).abs() < 300);
        let said = told.json();
        assert_eq!(said["type"], "usage.threshold");
        assert_eq!(said["data"], threshold(80).data);
        let announced = said["timestamp"].as_str().unwrap();
        assert!(
            announced.parse::<chrono::DateTime<chrono::Utc>>().is_ok(),
            "{announced}"
        );
    }
    assert!(payments.subscriber.told().is_empty());
}

#[tokio::test]
async fn the_same_occasion_is_announced_once() {
    let teller = Teller::new().await;
    let app = teller.app(&[]).await;
    let worker = teller.service.work(Register::all());
    let of_ben = NewNotification {
        account_id: "ben".into(),
        ..threshold(80)
    };

    let first = teller.announce(&[threshold(80), threshold(80)]).await;
    teller.service.drain().await;
    let again = teller.announce(&[threshold(80)]).await;
    let others = teller
        .announce(&[of_ben, threshold(100), threshold(80)])
        .await;
    teller.service.drain().await;
    worker.stop().await;

    assert_eq!((first.len(), again.len(), others.len()), (1, 0, 2));
    assert_eq!(app.subscriber.told().len(), 3);
}

/// In whatever order the callers name them, and however they meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_announce_the_same_at_once_neither_double_nor_block_each_other() {
    let teller = Teller::new().await;
    let slowly = "create function slowly() returns trigger language plpgsql as $$
         begin perform pg_sleep(0.01); return new; end $$;
         create trigger slowly before insert on notifications for each row execute function slowly()";
    sqlx::raw_sql(slowly)
        .execute(&teller.service.db)
        .await
        .unwrap();
    let all: Vec<NewNotification> = (0..40).map(threshold).collect();
    let backwards: Vec<_> = all.iter().rev().cloned().collect();

    let callers = [&all, &backwards, &all, &backwards];
    let announced = join_all(callers.map(|all| teller.announce(all))).await;

    assert_eq!(announced.concat().len(), 40);
}

#[tokio::test]
async fn a_rolled_back_change_announces_nothing() {
    let teller = Teller::new().await;
    let app = teller.app(&[]).await;
    let worker = teller.service.work(Register::all());

    let mut tx = teller.service.db.begin().await.unwrap();
    let announced = notify::announce(&mut tx, &[threshold(80)]).await.unwrap();
    tx.rollback().await.unwrap();
    teller.announce(&[threshold(100)]).await;
    teller.service.drain().await;
    worker.stop().await;

    assert_eq!(announced.len(), 1);
    let told = app.subscriber.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].json()["data"]["percent"], 100);
}

#[tokio::test]
async fn a_delivery_that_fails_is_repeated_under_the_same_id() {
    let teller = Teller::new().await;
    let app = teller.app(&[]).await;
    app.subscriber.behave(answers(500));
    let worker = teller.service.work(Register::all());

    let id = teller.announce(&[threshold(80)]).await[0].to_string();
    until("it was tried three times", async || {
        app.subscriber.told().len() >= 3
    })
    .await;
    app.subscriber.behave(answers(204));
    teller.service.drain().await;
    worker.stop().await;

    let told = app.subscriber.told();
    assert!(told.iter().all(|told| told.header("webhook-id") == id));
    assert!(told.iter().all(|told| told.is_signed_by(&app.secret)));
    let bodies: BTreeSet<_> = told.iter().map(|told| &told.body).collect();
    assert_eq!(bodies.len(), 1);
    let ended: String = teller
        .service
        .value("select state from queue.finished_jobs where kind = 'deliver_notification'")
        .await;
    assert_eq!(ended, "done");
}

#[tokio::test]
async fn an_endpoint_that_asks_for_patience_is_charged_no_attempt() {
    let teller = Teller::new().await;
    let app = teller.app(&[]).await;
    app.subscriber.behave(Manner {
        retry_after: Some("1800"),
        ..answers(429)
    });
    let worker = teller.service.work(Register::all());

    teller.announce(&[threshold(80)]).await;
    until("the delivery waits", async || {
        teller
            .service
            .value::<i64>(
                "select count(*) from queue.jobs where kind = 'deliver_notification'
                 and state = 'waiting' and failures = 0 and run_at > now() + interval '25 minutes'",
            )
            .await
            == 1
    })
    .await;
    worker.stop().await;

    assert_eq!(app.subscriber.told().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_in_time_is_asked_again() {
    let teller = Teller::with(|config| config.notify.timeout = Duration::from_millis(100)).await;
    let app = teller.app(&[]).await;
    app.subscriber.behave(Manner::default());
    let worker = teller.service.work(Register::all());

    teller.announce(&[threshold(80)]).await;
    until("it was asked three times", async || {
        app.subscriber.told().len() >= 3
    })
    .await;
    let note: String = teller
        .service
        .value("select note from queue.jobs where kind = 'deliver_notification'")
        .await;
    assert_eq!(note, "no answer in time");
    app.subscriber.behave(answers(200));
    teller.service.drain().await;
    worker.stop().await;

    assert_eq!(
        teller
            .service
            .value::<i64>("select count(*) from queue.jobs")
            .await,
        0
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let teller = Teller::new().await;
    let app = teller.app(&[]).await;
    app.subscriber.behave(Manner {
        location: Some("/elsewhere"),
        ..answers(307)
    });
    let worker = teller.service.work(Register::all());

    teller.announce(&[threshold(80)]).await;
    until("it was tried twice", async || {
        app.subscriber.told().len() >= 2
    })
    .await;
    worker.stop().await;

    let told = app.subscriber.told();
    assert!(told.iter().all(|told| told.path == "/hook"), "{told:?}");
    let note: String = teller
        .service
        .value("select note from queue.jobs where kind = 'deliver_notification'")
        .await;
    assert_eq!(note, "the endpoint answered 307");
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_keeps_no_other_waiting() {
    let teller = Teller::with(|config| {
        config.worker.default = 8;
        // So long that none of its deliveries ends within the test.
        config.notify.timeout = Duration::from_secs(600);
        config.worker.drain = Duration::from_millis(10);
    })
    .await;
    let (silent, well) = (teller.app(&[]).await, teller.app(&[]).await);
    silent.subscriber.behave(Manner::default());
    let worker = teller.service.work(Register::all());

    let many: Vec<NewNotification> = (0..30)
        .map(|user| NewNotification {
            account_id: format!("user-{user}"),
            data: json!({ "user": user }),
            ..threshold(80)
        })
        .collect();
    teller.announce(&many).await;
    until("the other endpoint was told everything", async || {
        well.subscriber.told().len() == 30
    })
    .await;

    assert_eq!(silent.subscriber.open_most(), 2, "its share and no more");
    worker.stop().await;
}
