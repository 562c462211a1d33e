//! Taking back what was reported wrongly.

use serde_json::json;
use tollkeeper::http::auth::Scope;

use super::{App, BASE, part};
use crate::support::api::token;

#[tokio::test]
async fn a_use_is_taken_back_once_and_who_asked_for_it_is_on_record() {
    let app = App::start().await;
    let wrong = app.track("ann", "ai_queries", 9).await.body["data"]["id"].clone();
    app.track("ann", "ai_queries", 1).await;
    let body = json!({ "userId": "ann", "eventId": wrong, "reason": "reported twice" });

    let first = app.post("usage-corrections", body.clone()).await;
    let copy = app.post("usage-corrections", body).await;

    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(
        part(
            &first.body["data"],
            &["reversalOf", "feature", "quantity", "tier"]
        ),
        json!({ "reversalOf": wrong, "feature": "ai_queries", "quantity": -9, "tier": "free" })
    );
    assert_eq!(copy.body["data"], first.body["data"]);
    assert_eq!(app.used("ann", "ai_queries").await, 1);
    let stats = app
        .api
        .get(&format!("{BASE}/usage-stats?userId=ann"), &app.key)
        .await;
    assert_eq!(
        part(
            &stats.body["data"]["aggregated"]["ai_queries"],
            &["total", "count"]
        ),
        json!({ "total": 1, "count": 1 })
    );
    let actions: Vec<(String, String)> = sqlx::query_as(
        "select who, why from queue.operator_actions where action = 'usage_correction'",
    )
    .fetch_all(&app.api.db)
    .await
    .unwrap();
    assert_eq!(actions.len(), 1);
    assert!(actions[0].0.starts_with("key "), "{actions:?}");
    assert_eq!(actions[0].1, "reported twice");

    let reversal = &first.body["data"]["id"];
    for (body, status, code) in [
        (
            json!({ "userId": "ann", "eventId": wrong, "reason": "other" }),
            409,
            "EVENT_ALREADY_CORRECTED",
        ),
        (
            json!({ "userId": "ann", "eventId": reversal, "reason": "back" }),
            409,
            "EVENT_IS_REVERSAL",
        ),
        (
            json!({ "userId": "bob", "eventId": wrong, "reason": "theirs" }),
            404,
            "EVENT_NOT_FOUND",
        ),
        (
            json!({ "userId": "ann", "eventId": "x", "reason": "what" }),
            404,
            "EVENT_NOT_FOUND",
        ),
        (
            json!({ "userId": "ann", "eventId": wrong }),
            400,
            "MISSING_PARAMETER",
        ),
        (
            json!({ "userId": "ann", "reason": "why" }),
            400,
            "MISSING_PARAMETER",
        ),
    ] {
        let answer = app.post("usage-corrections", body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.body["error"]["code"], code);
    }
}

#[tokio::test]
async fn what_shortens_a_bill_is_for_administrators_alone() {
    let app = App::start().await;
    let writer = app.api.key(&[Scope::UsageWrite]).await;
    for path in ["usage-corrections", "time-zone"] {
        for credential in [writer.clone(), token("ann")] {
            let answer = app
                .api
                .post(
                    &format!("{BASE}/{path}"),
                    &credential,
                    json!({ "userId": "ann" }),
                )
                .await;
            assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        }
    }
}
