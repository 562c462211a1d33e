//! `validate-access`: the shapes older clients know, and what is added to them.

use chrono::Utc;
use serde_json::json;
use tollkeeper::http::auth::Scope;

use super::{App, BASE, part};
use crate::support::api::{JWT_SECRET, assert_enveloped, signed, token};

const OLD: [&str; 9] = [
    "allowed",
    "tier",
    "feature",
    "limit",
    "currentUsage",
    "remaining",
    "requestedQuantity",
    "message",
    "overage",
];

#[tokio::test]
async fn the_answers_are_those_of_the_contract() {
    let app = App::start().await;
    for tier in ["repx2", "repx5"] {
        app.api.subscriber(tier, tier, "active").await;
    }
    app.track("repx2", "ai_queries", 40).await;

    let answer = app
        .post(
            "validate-access",
            json!({ "userId": "repx2", "feature": "ai_queries" }),
        )
        .await;

    assert_eq!(answer.body["success"], true);
    assert_eq!(answer.body["message"], "Access validated");
    assert!(answer.body["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        part(&answer.body["data"], &OLD[..7]),
        json!({ "allowed": true, "tier": "repx2", "feature": "ai_queries", "limit": 100, "currentUsage": 40,
                "remaining": 60, "requestedQuantity": 1 })
    );
    app.track("repx2", "ai_queries", 60).await;
    assert_eq!(
        part(&app.ask("repx2", "ai_queries", 5).await, &OLD),
        json!({ "allowed": false, "tier": "repx2", "feature": "ai_queries", "limit": 100, "currentUsage": 100,
                "remaining": 0, "requestedQuantity": 5, "overage": 5,
                "message": "Would exceed monthly limit. Current: 100, Limit: 100" })
    );
    let none = app.ask("nobody", "calls", 1).await;
    assert_eq!(
        part(
            &none,
            &[
                "allowed",
                "tier",
                "feature",
                "limit",
                "currentUsage",
                "remaining",
                "message"
            ]
        ),
        json!({ "allowed": false, "tier": "free", "feature": "calls", "limit": 0, "currentUsage": 0, "remaining": 0,
                "message": "calls not available in free tier" })
    );
    assert_eq!(none["code"], "not_in_plan");
    app.track("repx5", "calls", 7).await;
    assert_eq!(
        part(
            &app.ask("repx5", "calls", 1).await,
            &[
                "allowed",
                "tier",
                "feature",
                "limit",
                "currentUsage",
                "remaining"
            ]
        ),
        json!({ "allowed": true, "tier": "repx5", "feature": "calls", "limit": "unlimited", "currentUsage": 0,
                "remaining": "unlimited" })
    );
}

#[tokio::test]
async fn what_goes_beyond_is_allowed_where_it_is_billed_and_the_price_is_told() {
    let app = App::start().await;
    app.api.subscriber("ann", "ai_secretary", "active").await;
    app.track("ann", "voice_minutes", 99.5).await;

    let within = app.ask("ann", "sms", 100).await;
    let beyond = app.ask("ann", "voice_minutes", 1).await;

    assert_eq!(
        part(&within, &["allowed", "code"]),
        json!({ "allowed": true, "code": "within_limit" })
    );
    let names = [
        "allowed",
        "code",
        "currentUsage",
        "remaining",
        "overage",
        "overageAllowed",
        "overageUnitPrice",
    ];
    assert_eq!(
        part(&beyond, &names),
        json!({ "allowed": true, "code": "over_limit_billable", "currentUsage": 99.5, "remaining": 0.5,
                "overage": 0.5, "overageAllowed": true, "overageUnitPrice": 0.013 })
    );
}

#[tokio::test]
async fn a_subscription_in_bad_standing_has_the_free_rights_and_the_code_says_why() {
    let app = App::start().await;
    for (status, code) in [
        ("canceled", "subscription_canceled"),
        ("paused", "subscription_paused"),
        ("unpaid", "subscription_unpaid"),
        ("incomplete", "subscription_incomplete"),
    ] {
        app.api.subscriber(status, "repx3", status).await;
        let calls = app.ask(status, "calls", 1).await;
        let names = ["allowed", "tier", "code"];
        assert_eq!(
            part(&calls, &names),
            json!({ "allowed": false, "tier": "free", "code": code })
        );
        assert_eq!(
            app.ask(status, "ai_queries", 1).await["code"],
            "within_limit"
        );
    }
    for (since, allowed, code) in [
        ("now()", true, "within_limit"),
        ("now() - interval '4 days'", false, "subscription_past_due"),
    ] {
        app.api.subscriber(code, "repx3", "past_due").await;
        let sql = format!(
            "update subscriptions set past_due_since = {since} where account_id = '{code}'"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&app.api.db)
            .await
            .unwrap();
        let calls = app.ask(code, "calls", 1).await;
        assert_eq!(
            part(&calls, &["allowed", "code"]),
            json!({ "allowed": allowed, "code": code })
        );
    }
}

#[tokio::test]
async fn several_features_are_answered_in_one_call() {
    let app = App::start().await;
    let features = ["ai_queries", "calls", "teleports"];

    let answer = app
        .post(
            "validate-access",
            json!({ "userId": "ann", "features": features }),
        )
        .await;

    let data = &answer.body["data"];
    assert_eq!(data["allowed"], false);
    assert_eq!(data["tier"], "free");
    let codes: Vec<_> = data["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].clone())
        .collect();
    assert_eq!(codes, ["within_limit", "not_in_plan", "unknown_feature"]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_a_code() {
    let app = App::start().await;
    for (body, code, message) in [
        (
            json!({ "feature": "calls" }),
            "MISSING_PARAMETERS",
            "userId or email is required",
        ),
        (
            json!({ "userId": "ann" }),
            "MISSING_PARAMETER",
            "feature is required",
        ),
        (
            json!({ "userId": "ann", "feature": "teleports" }),
            "INVALID_FEATURE",
            "Invalid feature: teleports",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "requestedQuantity": -1 }),
            "INVALID_QUANTITY",
            "Invalid quantity: a quantity is greater than zero",
        ),
        (
            json!({ "userId": "ann", "feature": "calls", "requestedQuantity": 1.5 }),
            "INVALID_QUANTITY",
            "Invalid quantity: a quantity of this feature has at most 0 decimal places",
        ),
        (
            json!({ "userId": "ann", "features": ["calls"], "consume": true }),
            "INVALID_PARAMETER",
            "consume goes with one feature: send one request for each",
        ),
    ] {
        let answer = app.post("validate-access", body).await;
        assert_enveloped(&answer, 400, code, message);
    }
}

#[tokio::test]
async fn a_user_is_found_by_their_address_whatever_its_case() {
    let app = App::start().await;
    app.api.subscriber("ann", "repx1", "active").await;
    let named = |email: &str| json!({ "email": email, "feature": "calls" });
    let address = |account: &'static str, email: &'static str| {
        sqlx::query("update accounts set email = $2 where account_id = $1")
            .bind(account)
            .bind(email)
    };
    address("ann", "Ann@x.test")
        .execute(&app.api.db)
        .await
        .unwrap();

    let known = app.post("validate-access", named(" ann@X.test ")).await;
    let unknown = app.post("validate-access", named("bob@x.test")).await;
    app.api.account("ann2").await;
    address("ann2", "ann@x.test")
        .execute(&app.api.db)
        .await
        .unwrap();
    let shared = app.post("validate-access", named("ann@x.test")).await;

    assert_eq!(known.body["data"]["tier"], "repx1");
    assert_eq!(unknown.body["data"]["tier"], "free");
    let message = "Several users have this address: name the user by userId";
    assert_enveloped(&shared, 400, "AMBIGUOUS_EMAIL", message);
}

#[tokio::test]
async fn an_address_nobody_is_known_by_is_counted_and_limited_all_the_same() {
    let app = App::start().await;
    for _ in 0..10 {
        let body = json!({ "email": "New@x.test", "feature": "ai_queries" });
        assert_eq!(app.post("track-usage", body).await.status, 200);
    }
    let body = json!({ "email": "new@x.test", "feature": "ai_queries" });
    let answer = app.post("validate-access", body).await;
    assert_eq!(
        answer.body["data"]["code"], "limit_reached",
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_user_asks_for_themselves_alone() {
    let app = App::start().await;
    for (account, email) in [("ann", "ann@x.test"), ("bob", "bob@x.test")] {
        app.api.subscriber(account, "repx1", "active").await;
        let sql = "update accounts set email = $2 where account_id = $1";
        sqlx::query(sql)
            .bind(account)
            .bind(email)
            .execute(&app.api.db)
            .await
            .unwrap();
    }
    let path = format!("{BASE}/validate-access");
    for (body, status) in [
        (json!({ "feature": "calls" }), 200),
        (json!({ "feature": "calls", "userId": "ann" }), 200),
        (json!({ "feature": "calls", "email": "ann@x.test" }), 200),
        (json!({ "feature": "calls", "userId": "bob" }), 403),
        (json!({ "feature": "calls", "email": "bob@x.test" }), 403),
        (json!({ "feature": "calls", "email": "nobody@x.test" }), 403),
    ] {
        let answer = app.api.post(&path, &token("ann"), body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    // Of whom nothing is stored yet, and who names themselves as their identity provider knows them.
    let expires = Utc::now().timestamp() + 3600;
    let claims = json!({ "userId": "new", "email": "New@x.test", "exp": expires });
    let new = signed(&claims, JWT_SECRET);
    for (email, status) in [("new@x.test", 200), ("bob@x.test", 403)] {
        let body = json!({ "feature": "calls", "email": email });
        let answer = app.api.post(&path, &new, body).await;
        assert_eq!(answer.status, status, "{email}: {}", answer.text);
    }
    let reader = app.api.key(&[Scope::SubscriptionRead]).await;
    let body = json!({ "userId": "ann", "feature": "calls", "consume": true });
    let answer = app.api.post(&path, &reader, body).await;
    assert_enveloped(
        &answer,
        403,
        "MISSING_SCOPE",
        "This needs a key with the scope usage:write",
    );
}

#[tokio::test]
async fn old_callers_may_clear_what_is_no_cache() {
    let app = App::start().await;
    let path = format!("{BASE}/clear-cache");
    for body in [
        json!({}),
        json!({ "adminKey": "" }),
        json!({ "adminKey": "guess" }),
    ] {
        let answer = app.api.post(&path, "", body).await;
        assert_enveloped(&answer, 403, "FORBIDDEN", "Invalid admin key");
    }
}
