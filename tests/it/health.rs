//! Whether a process says truly how it is.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{
    api::{Api, Setup, token},
    cluster,
};

#[tokio::test]
async fn a_process_lives_and_is_ready_and_older_checks_still_work() {
    let api = Api::start().await;

    let healthz = api.get("/healthz", "").await;
    let readyz = api.get("/readyz", "").await;

    assert_eq!(healthz.body, json!({ "status": "ok" }));
    assert_eq!(readyz.status, StatusCode::OK, "{}", readyz.text);
    assert_eq!(readyz.body["status"], "ready");
    assert_eq!(readyz.body["providers"], "sandbox");
    for path in ["/health", "/"] {
        let answer = api.get(path, "").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body["status"], "ok");
        assert_eq!(answer.body["success"], true);
        assert_eq!(answer.body["data"], json!({ "status": "ok" }));
        assert!(answer.body["timestamp"].is_string() && answer.body["service"].is_string());
    }
    let phone = api.get("/api/phone/health", "").await;
    assert_eq!(
        phone.body["data"],
        json!({
            "status": "ok", "phone_system": "available", "default_method": "webrtc",
            "providers": {"supabase": true, "twilio": true, "voipms": false, "webrtc": true},
        }),
        "{}",
        phone.text
    );
    let metrics = api.get("/metrics", "").await;
    assert_eq!(metrics.status, StatusCode::OK);
    assert!(
        metrics.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
}

#[tokio::test]
async fn a_process_without_its_database_is_alive_and_not_ready() {
    let api = Api::start().await;
    sqlx::query("delete from _sqlx_migrations where version = 5")
        .execute(&api.db)
        .await
        .unwrap();
    let behind = api.get("/readyz", "").await;
    assert_eq!(behind.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        behind.body["reasons"][0]
            .as_str()
            .unwrap()
            .contains("migrations [5]")
    );

    api.db.close().await;

    let ready = api.get("/readyz", "").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.body["reasons"].as_array().unwrap().len(), 1);
    let phone = api.get("/api/phone/health", "").await;
    assert_eq!(phone.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(phone.body["data"]["phone_system"], "unavailable");
    assert_eq!(phone.body["data"]["providers"]["supabase"], false);
    assert_eq!(api.get("/healthz", "").await.status, StatusCode::OK);
    let answer = api.get("/api/twilio/numbers", &token("ann")).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.text
    );
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(answer.body["code"], "SERVICE_UNAVAILABLE");
    assert!(!answer.text.contains("pool"), "{}", answer.text);
}

#[tokio::test]
async fn a_database_that_hangs_makes_a_process_unready_within_two_seconds() {
    let options = cluster::fresh_database_options().await;
    let narrow = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .unwrap();
    let _all_there_is = narrow.acquire().await.unwrap();
    let api = Api::start_over(narrow.clone(), Setup::default()).await;

    let answer = tokio::time::timeout(Duration::from_secs(2), api.get("/readyz", "")).await;

    assert_eq!(answer.unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn figures_are_for_whoever_has_their_token_where_there_is_one() {
    let token = "a-made-up-token-of-the-metrics";
    let api = Api::start_with(Setup {
        metrics_token: Some(token.into()),
        ..Setup::default()
    })
    .await;
    for (credential, status) in [(token, 200), ("another", 401), ("", 401)] {
        let answer = api.get("/metrics", credential).await;
        assert_eq!(answer.status, status, "{credential}: {}", answer.text);
    }
    assert_eq!(api.get("/healthz", "").await.status, 200);
}
