//! Counters are derived: what is counted again agrees, and what does not is set right and reported.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::ConnectOptions;
use tollkeeper::{
    db::usage::recount::{self, Counter},
    usage,
    worker::Register,
};
use tollkeeper_jobs::{CloseUsageWindows, PruneHistory, RecountUsage};

use super::App;
use crate::support::service::Service;

impl App {
    async fn differences(&self) -> usize {
        let mut conn = self.api.db.acquire().await.unwrap();
        let since = self.api.ctx.clock.now() - TimeDelta::days(400);
        let found = recount::differences(&mut conn, since, None, 100).await;
        found.inspect(|found| println!("{found:?}")).unwrap().len()
    }

    /// The workers over the same database and clock.
    fn service(&self) -> Service {
        Service {
            ctx: self.api.ctx.clone(),
            db: self.api.db.clone(),
        }
    }
}

#[tokio::test]
async fn a_counter_that_was_changed_is_found_set_right_and_reported() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 3).await;
    app.track("ann", "voice_minutes", 0.5).await;
    assert_eq!(app.differences().await, 0);
    for sql in [
        "update usage_counters set quantity = quantity + 1 where feature = 'ai_queries' and per = 'cycle'",
        "delete from usage_counters where feature = 'voice_minutes' and per = 'day'",
    ] {
        sqlx::query(sql).execute(&app.api.db).await.unwrap();
    }
    assert_eq!(app.differences().await, 2);

    let service = app.service();
    let worker = service.work(Register::all());
    let tick_at = app.api.ctx.clock.now();
    service.enqueue(&RecountUsage { tick_at }).await;
    service.drain().await;
    worker.stop().await;

    assert_eq!(app.differences().await, 0);
    assert_eq!(app.used("ann", "ai_queries").await, 3);
    let findings: i64 = service.value("select count(*) from findings where kind = 'usage_counter_wrong' and account_id = 'ann'").await;
    assert_eq!(findings, 2);
}

#[tokio::test]
async fn an_operator_checks_and_corrects_and_leaves_their_name() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 3).await;
    let recount = |arguments: &[&str]| {
        let url = app.api.db.connect_options().to_url_lossy();
        let output = Command::new(env!("CARGO_BIN_EXE_tollkeeper"))
            .args(["usage", "recount"])
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", url.as_str())
            .env("USER", "ann")
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    assert_eq!(recount(&["--check"]).0, Some(0));
    let sql = "update usage_counters set quantity = 0 where per = 'cycle'";
    sqlx::query(sql).execute(&app.api.db).await.unwrap();

    let (found, told) = recount(&["--check"]);
    let (corrected, _) = recount(&["--why", "a disk was replaced"]);
    let (right, _) = recount(&["--check"]);

    assert!(told.contains("counter 0, events 3"), "{told}");
    assert_eq!(
        (found, corrected, right),
        (Some(1), Some(0), Some(0)),
        "{told}"
    );
    let sql =
        "select who, why, affected from queue.operator_actions where action = 'usage_recount'";
    let actions: Vec<(String, String, i64)> =
        sqlx::query_as(sql).fetch_all(&app.api.db).await.unwrap();
    assert_eq!(
        actions,
        [("ann".to_owned(), "a disk was replaced".to_owned(), 1)]
    );
}

#[tokio::test]
async fn counting_again_beside_new_uses_loses_none() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 1).await;
    let done = AtomicBool::new(false);
    let recount = async {
        while !done.load(Ordering::Relaxed) {
            let all: Vec<Counter> = sqlx::query_as("select * from usage_counters")
                .fetch_all(&app.api.db)
                .await
                .unwrap();
            let mut tx = app.api.db.begin().await.unwrap();
            let wrong = usage::correct_counters(&mut tx, &all, None).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(wrong, []);
        }
    };
    let track = async {
        for _ in 0..40 {
            join_all((0..8).map(|_| app.track("ann", "ai_queries", 1))).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(recount, track);
    assert_eq!(app.used("ann", "ai_queries").await, 321);
    assert_eq!(app.differences().await, 0);
}

#[tokio::test]
async fn a_window_that_is_over_is_closed_and_a_late_use_opens_it_again() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 3).await;
    let used_at = app.api.ctx.clock.now();
    let service = app.service();
    let open = "select count(*) from usage_counters where closed_at is null and ends_at < now() + interval '2 days'";
    app.api.ctx.clock.advance(TimeDelta::days(2));
    let worker = service.work(Register::all());
    let close = async || {
        let tick_at = app.api.ctx.clock.now();
        service.enqueue(&CloseUsageWindows { tick_at }).await;
        service.drain().await;
    };

    let before: i64 = service.value(open).await;
    close().await;
    let after: i64 = service.value(open).await;
    let body = json!({ "userId": "ann", "feature": "ai_queries", "occurredAt": used_at });
    assert_eq!(app.post("track-usage", body).await.status, 200);
    let reopened: i64 = service.value(open).await;
    close().await;
    let closed: i64 = service.value(open).await;
    worker.stop().await;

    assert!(before >= 1);
    assert_eq!((after, reopened, closed), (0, before, 0));
    let quantity: i64 = service
        .value("select quantity from usage_counters where per = 'day'")
        .await;
    assert_eq!(quantity, 4_000_000);
}

#[tokio::test]
async fn old_usage_is_forgotten_whole_months_at_a_time() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 3).await;
    let service = app.service();
    let worker = service.work(Register::all());
    let prune = async || {
        let tick_at = app.api.ctx.clock.now();
        service.enqueue(&PruneHistory { tick_at }).await;
        service.drain().await;
    };
    let events = "select count(*) from usage_events";

    app.api.ctx.clock.advance(TimeDelta::days(700));
    prune().await;
    let kept: i64 = service.value(events).await;
    app.track("ann", "ai_queries", 1).await;
    app.api.ctx.clock.advance(TimeDelta::days(100));
    prune().await;
    let left: i64 = service.value(events).await;
    worker.stop().await;

    assert_eq!((kept, left), (1, 1));
    let in_the_rest: i64 = service
        .value("select count(*) from usage_events_rest")
        .await;
    assert_eq!(in_the_rest, 0, "the months ahead are made");
}
