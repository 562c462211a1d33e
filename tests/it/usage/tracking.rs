//! `track-usage`: it was done, and it is counted once.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::clock::Clock;

use super::{App, BASE, part};
use crate::support::api::{assert_enveloped, token};

#[tokio::test]
async fn a_use_is_counted_and_warned_of_in_the_words_of_the_contract() {
    let app = App::start().await;
    let mut warnings = Vec::new();
    for _ in 0..9 {
        let body = json!({ "userId": "ann", "feature": "ai_queries", "appName": "repconnect", "metadata": { "a": 1 } });
        let answer = app.post("track-usage", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.body["message"], "Usage tracked successfully");
        let data = &answer.body["data"];
        assert_eq!(
            part(data, &["feature", "quantity", "tier"]),
            json!({ "feature": "ai_queries", "quantity": 1, "tier": "free" })
        );
        assert!(
            data["id"].is_string() && data["timestamp"].is_string(),
            "{data}"
        );
        warnings.push(data["warning"].clone());
    }
    assert_eq!(warnings[6], Value::Null);
    assert_eq!(warnings[7], "Approaching ai_queries limit: 8/10 (80%)");
    assert_eq!(warnings[8], "Approaching ai_queries limit: 9/10 (90%)");
}

#[tokio::test]
async fn tracking_never_refuses_whatever_the_limit() {
    let app = App::start().await;
    for feature in ["calls", "ai_queries"] {
        assert_eq!(app.track("ann", feature, 1000).await.status, 200);
    }
    assert_eq!(app.used("ann", "ai_queries").await, 1000);
}

#[tokio::test]
async fn a_counter_that_is_full_fails_its_own_reports_alone() {
    let app = App::start().await;
    assert_eq!(app.track("zoe", "ai_queries", 1).await.status, 200);
    let full = "update usage_counters set quantity = 9223372036854775807 where account_id = 'zoe'";
    sqlx::query(full).execute(&app.api.db).await.unwrap();

    let users: Vec<String> = (0..40).map(|nth| format!("user-{nth}")).collect();
    let theirs = users.iter().map(|user| app.track(user, "ai_queries", 1));
    let hers = (0..4).map(|_| app.track("zoe", "ai_queries", 1));
    let (theirs, hers) = tokio::join!(join_all(theirs), join_all(hers));

    assert!(theirs.iter().all(|answer| answer.status == 200));
    assert!(hers.iter().all(|answer| answer.status == 503));
    for user in &users {
        assert_eq!(app.used(user, "ai_queries").await, 1);
    }
}

#[tokio::test]
async fn a_user_may_report_what_they_used_themselves() {
    let app = App::start().await;
    let path = format!("{BASE}/track-usage");
    let answer = app
        .api
        .post(&path, &token("ann"), json!({ "feature": "ai_queries" }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = app
        .api
        .post(
            &path,
            &token("ann"),
            json!({ "feature": "ai_queries", "userId": "bob" }),
        )
        .await;
    assert_eq!(answer.status, 403);
    assert_eq!(app.used("ann", "ai_queries").await, 1);
    assert_eq!(app.used("bob", "ai_queries").await, 0);
}

#[tokio::test]
async fn a_copy_is_given_the_first_answer_and_counts_nothing() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 7).await;
    let body = json!({ "userId": "ann", "feature": "ai_queries", "metadata": { "b": 1, "a": 2 } });

    let first = app.keyed("track-usage", "k1", body.clone()).await;
    app.track("ann", "ai_queries", 1).await;
    let copy = app.keyed("track-usage", "k1", body.clone()).await;
    let mut in_body = body.clone();
    in_body["idempotencyKey"] = json!("k1");
    let by_body = app.post("track-usage", in_body).await;

    assert_eq!(
        first.body["data"]["warning"],
        "Approaching ai_queries limit: 8/10 (80%)"
    );
    for answer in [&copy, &by_body] {
        assert_eq!(answer.body["data"], first.body["data"]);
        assert_eq!(answer.headers["idempotency-replayed"], "true");
    }
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(app.used("ann", "ai_queries").await, 9);
    // Another user's key is another key.
    let mut other = body;
    other["userId"] = json!("bob");
    app.keyed("track-usage", "k1", other).await;
    assert_eq!(app.used("bob", "ai_queries").await, 1);
}

#[tokio::test]
async fn a_key_that_stands_for_something_else_is_refused() {
    let app = App::start().await;
    let body = json!({ "userId": "ann", "feature": "ai_queries" });
    app.keyed("track-usage", "k1", body).await;
    let message = "This idempotency key stands for another request: use a new one";
    for (path, body) in [
        (
            "track-usage",
            json!({ "userId": "ann", "feature": "ai_queries", "quantity": 2 }),
        ),
        (
            "track-usage",
            json!({ "userId": "ann", "feature": "transcriptions" }),
        ),
        (
            "validate-access",
            json!({ "userId": "ann", "feature": "ai_queries", "consume": true }),
        ),
        (
            "reserve",
            json!({ "userId": "ann", "feature": "ai_queries" }),
        ),
    ] {
        let answer = app.keyed(path, "k1", body).await;
        assert_enveloped(&answer, 422, "IDEMPOTENCY_KEY_REUSED", message);
    }
    let body = json!({ "userId": "ann", "feature": "ai_queries", "idempotencyKey": "k2" });
    let two = app.keyed("track-usage", "k3", body).await;
    assert_enveloped(
        &two,
        409,
        "IDEMPOTENCY_KEY_CONFLICT",
        "The header and the body name two idempotency keys",
    );
    assert_eq!(app.used("ann", "ai_queries").await, 1);
}

#[tokio::test]
async fn a_thousand_uses_go_in_one_call_each_with_its_result() {
    let app = App::start().await;
    let events: Vec<Value> = (0..1000)
        .map(|place| match place {
            3 => json!({ "feature": "teleports" }),
            4 => json!({ "feature": "ai_queries", "quantity": 0 }),
            5 => json!({ "feature": "voice_minutes", "quantity": 0.25 }),
            6 | 7 => json!({ "feature": "ai_queries", "idempotencyKey": "same" }),
            _ => json!({ "feature": "ai_queries" }),
        })
        .collect();
    let body = json!({ "userId": "ann", "events": events });

    let first = app.keyed("track-usage", "batch", body.clone()).await;
    let copy = app.keyed("track-usage", "batch", body).await;

    assert_eq!(first.status, 200, "{}", first.text);
    let counts = ["recorded", "replayed", "refused"];
    let data = &first.body["data"];
    assert_eq!(
        part(data, &counts),
        json!({ "recorded": 997, "replayed": 1, "refused": 2 })
    );
    let results = data["results"].as_array().unwrap();
    assert_eq!(results.len(), 1000);
    assert_eq!(results[3]["code"], "INVALID_FEATURE");
    assert_eq!(results[4]["code"], "INVALID_QUANTITY");
    assert_eq!(results[5]["quantity"], 0.25);
    assert_eq!(results[6]["id"], results[7]["id"]);
    assert_eq!(results[0].get("warning"), None);
    assert_eq!(
        results[999]["warning"],
        "Approaching ai_queries limit: 996/10 (9960%)"
    );
    assert_eq!(
        part(&copy.body["data"], &counts),
        json!({ "recorded": 0, "replayed": 998, "refused": 2 })
    );
    assert_eq!(app.used("ann", "ai_queries").await, 996);
}

#[tokio::test]
async fn another_list_under_the_same_key_is_no_copy() {
    let app = App::start().await;
    let list = |quantities: &[u64]| {
        let uses = quantities
            .iter()
            .map(|quantity| json!({ "feature": "ai_queries", "quantity": quantity }));
        json!({ "userId": "ann", "events": uses.collect::<Vec<_>>() })
    };
    app.keyed("track-usage", "k", list(&[1, 2, 2])).await;
    let shorter = app.keyed("track-usage", "k", list(&[2, 2])).await;
    for result in shorter.body["data"]["results"].as_array().unwrap() {
        assert_eq!(result["code"], "IDEMPOTENCY_KEY_REUSED", "{}", shorter.text);
    }
    assert_eq!(app.used("ann", "ai_queries").await, 5);
}

#[tokio::test]
async fn a_use_that_is_reported_seventy_days_late_is_counted_and_a_later_one_refused() {
    let app = App::start().await;
    let report = async |days| {
        let used_at = Clock::default().now() - TimeDelta::days(days);
        let body = json!({ "userId": "ann", "feature": "calls", "occurredAt": used_at });
        app.post("track-usage", body).await
    };
    assert_eq!(report(70).await.status, 200);
    let refused = report(81).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.body["error"]["code"], "INVALID_OCCURRED_AT");
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused_and_nothing_of_it_is_stored() {
    let app = App::start().await;
    let many: Vec<Value> = (0..1001).map(|_| json!({ "feature": "calls" })).collect();
    for (body, code) in [
        (json!({ "feature": "calls" }), "MISSING_PARAMETERS"),
        (json!({ "userId": "ann" }), "MISSING_PARAMETER"),
        (
            json!({ "userId": "ann", "feature": "teleports" }),
            "INVALID_FEATURE",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "quantity": 0 }),
            "INVALID_QUANTITY",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "quantity": -3 }),
            "INVALID_QUANTITY",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "quantity": "2" }),
            "INVALID_QUANTITY",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "quantity": 1e18 }),
            "INVALID_QUANTITY",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "quantity": 0.5 }),
            "INVALID_QUANTITY",
        ),
        (
            json!({ "userId": "ann", "feature": "voice_minutes", "quantity": 0.0000001 }),
            "INVALID_QUANTITY",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "metadata": { "a": "x".repeat(5000) } }),
            "INVALID_METADATA",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "metadata": { "a": "b\0" } }),
            "INVALID_METADATA",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "appName": "a\0" }),
            "INVALID_APP_NAME",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "occurredAt": "yesterday" }),
            "INVALID_OCCURRED_AT",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "occurredAt": "2020-01-01T00:00:00Z" }),
            "INVALID_OCCURRED_AT",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "occurredAt": "2120-01-01T00:00:00Z" }),
            "INVALID_OCCURRED_AT",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "idempotencyKey": "" }),
            "INVALID_IDEMPOTENCY_KEY",
        ),
        (json!({ "userId": "ann", "events": [] }), "INVALID_EVENTS"),
        (json!({ "userId": "ann", "events": many }), "INVALID_EVENTS"),
        (
            json!({ "userId": "ann", "feature": "calls", "events": [{ "feature": "calls" }] }),
            "INVALID_EVENTS",
        ),
    ] {
        let answer = app.post("track-usage", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.body["error"]["code"], code, "{body}");
    }
    let stored: i64 = sqlx::query_scalar("select count(*) from usage_events")
        .fetch_one(&app.api.db)
        .await
        .unwrap();
    assert_eq!(stored, 0);
}

#[tokio::test]
async fn usage_is_reported_by_whoever_may_and_by_nobody_else() {
    let app = App::start().await;
    let path = format!("{BASE}/track-usage");
    let body = Some(json!({ "userId": "ann", "feature": "calls" }));
    let reader = app
        .api
        .key(&[tollkeeper::http::auth::Scope::SubscriptionRead])
        .await;
    for (credential, status) in [("", 401), ("tk_live_guess", 401), (&reader, 403)] {
        let answer = app
            .api
            .call(Method::POST, &path, credential, body.clone(), &[])
            .await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    assert_eq!(app.used("ann", "ai_queries").await, 0);
}

#[tokio::test]
async fn while_postgres_is_away_nothing_is_acknowledged() {
    let app = App::start().await;
    let user = token("ann");
    app.api.db.close().await;
    for (path, body) in [
        ("track-usage", json!({ "feature": "calls" })),
        ("track-usage", json!({ "events": [{ "feature": "calls" }] })),
        ("validate-access", json!({ "feature": "calls" })),
        (
            "validate-access",
            json!({ "feature": "calls", "consume": true }),
        ),
        ("reserve", json!({ "feature": "calls" })),
        ("check-limits", json!({})),
    ] {
        let answer = app.api.post(&format!("{BASE}/{path}"), &user, body).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text);
        assert!(answer.headers.contains_key("retry-after"), "{path}");
    }
}
