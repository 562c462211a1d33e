//! Many at once: the last unit goes once, and every report counts.

use futures_util::future::join_all;
use serde_json::json;

use super::{App, BASE};
use crate::support::api::Api;

#[tokio::test]
async fn of_64_clients_at_a_limit_of_1000_exactly_1000_are_granted() {
    let app = App::start().await;
    app.api.subscriber("ann", "repx4", "active").await;
    let second = Api::start_over(app.api.db.clone(), Default::default()).await;
    let client = async |number: usize| {
        let api = if number.is_multiple_of(2) {
            &app.api
        } else {
            &second
        };
        let path = format!("{BASE}/validate-access");
        let mut granted = 0;
        for _ in 0..20 {
            let body = json!({ "userId": "ann", "feature": "ai_queries", "consume": true });
            let answer = api.post(&path, &app.key, body).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let data = &answer.body["data"];
            assert_eq!(data["allowed"], data["consumed"]);
            granted += i32::from(data["allowed"] == true);
        }
        granted
    };

    let granted: i32 = join_all((0..64).map(client)).await.into_iter().sum();

    assert_eq!(granted, 1000);
    assert_eq!(app.used("ann", "ai_queries").await, 1000);
}

#[tokio::test]
async fn of_1000_reservations_with_three_units_left_three_are_granted() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 7).await;
    let reserve = async |_| {
        let answer = app
            .post(
                "reserve",
                json!({ "userId": "ann", "feature": "ai_queries" }),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        usize::from(answer.body["data"]["allowed"] == true)
    };

    let granted: usize = join_all((0..1000).map(reserve)).await.into_iter().sum();

    assert_eq!(granted, 3);
}

#[tokio::test]
async fn fifteen_equal_reports_at_once_all_count() {
    let app = App::start().await;
    let body = json!({ "userId": "ann", "feature": "ai_queries" });
    let answers = join_all((0..15).map(|_| app.post("track-usage", body.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(app.used("ann", "ai_queries").await, 15);
}

#[tokio::test]
async fn of_copies_at_once_one_counts_and_all_are_answered_alike() {
    let app = App::start().await;
    let body = json!({ "userId": "ann", "feature": "ai_queries" });
    let copies = (0..30).map(|_| app.keyed("track-usage", "k", body.clone()));
    let answers = join_all(copies).await;
    for answer in &answers {
        assert_eq!(
            answer.body["data"], answers[0].body["data"],
            "{}",
            answer.text
        );
    }
    let replayed = answers
        .iter()
        .filter(|answer| answer.headers.contains_key("idempotency-replayed"));
    assert_eq!(replayed.count(), 29);
    assert_eq!(app.used("ann", "ai_queries").await, 1);
}

/// Two processes count in the same rows, and in another order: neither waits for the other for ever.
#[tokio::test]
async fn two_processes_count_together() {
    let app = App::start().await;
    let second = Api::start_over(app.api.db.clone(), Default::default()).await;
    let report = async |place: usize| {
        let users = ["a", "b", "c", "d"];
        let body = json!({ "userId": users[place % 4], "feature": "ai_queries", "consume": place.is_multiple_of(3) });
        let path = match place % 3 {
            0 => "validate-access",
            _ => "track-usage",
        };
        let api = if place.is_multiple_of(2) {
            &app.api
        } else {
            &second
        };
        let answer = api.post(&format!("{BASE}/{path}"), &app.key, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        usize::from(answer.body["data"]["allowed"] != false)
    };

    let counted: usize = join_all((0..400).map(report)).await.into_iter().sum();

    let total: i64 = sqlx::query_scalar(
        "select sum(quantity)::bigint / 1000000 from usage_counters where per = 'cycle'",
    )
    .fetch_one(&app.api.db)
    .await
    .unwrap();
    assert_eq!(total as usize, counted);
}

#[tokio::test]
async fn copies_of_a_denied_wish_are_all_denied() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 10).await;
    let body = json!({ "userId": "ann", "feature": "ai_queries", "consume": true });
    let copies = (0..30).map(|_| app.keyed("validate-access", "k", body.clone()));
    for answer in join_all(copies).await {
        assert_eq!(
            answer.body["data"]["code"], "limit_reached",
            "{}",
            answer.text
        );
    }
}

/// Postgres hangs for longer than callers wait: who was told so asks again, and is counted once.
#[tokio::test]
async fn what_was_answered_too_late_is_not_counted_later() {
    let app = App::start().await;
    let mut held_up = app.api.db.begin().await.unwrap();
    sqlx::query("lock table usage_counters")
        .execute(&mut *held_up)
        .await
        .unwrap();

    let late = join_all((0..5).map(|_| app.track("ann", "ai_queries", 1))).await;
    held_up.rollback().await.unwrap();
    let again = app.track("ann", "ai_queries", 1).await;

    assert!(late.iter().all(|answer| answer.status == 503));
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(app.used("ann", "ai_queries").await, 1);
}
