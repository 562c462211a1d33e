//! What every operation of bills refuses, and in which words.

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::http::auth::Scope;

use super::{ESTIMATE, HISTORY, UPCOMING, USAGE};
use crate::support::api::{Answer, Api, token};

fn every() -> [(Method, &'static str, Option<Value>); 5] {
    let target = json!({ "target_tier": "ai_project_manager" });
    [
        (Method::GET, USAGE, None),
        (Method::POST, USAGE, None),
        (Method::GET, HISTORY, None),
        (Method::POST, ESTIMATE, Some(target)),
        (Method::GET, UPCOMING, None),
    ]
}

#[track_caller]
fn assert_bare(answer: &Answer, status: u16, error: &str, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.body, json!({ "error": error, "code": code }));
}

#[tokio::test]
async fn who_is_asking_must_be_known() {
    let api = Api::start().await;
    for (method, path, body) in every() {
        for (credential, code) in [("", "UNAUTHENTICATED"), ("nonsense", "INVALID_TOKEN")] {
            let answer = api
                .call(method.clone(), path, credential, body.clone(), &[])
                .await;
            assert_bare(&answer, 401, "Unauthorized", code);
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
}

#[tokio::test]
async fn an_app_names_a_user_and_a_user_is_only_themselves() {
    let api = Api::start().await;
    api.subscriber("bob", "ai_secretary", "active").await;
    let key = api.key(&[Scope::SubscriptionRead]).await;
    let other_key = api.key(&[Scope::UsageWrite]).await;
    for (method, path, body) in every() {
        let ask = async |path: String, credential: &str| {
            api.call(method.clone(), &path, credential, body.clone(), &[])
                .await
        };
        let of_bob = format!("{path}?userId=bob");

        let unnamed = ask(path.to_owned(), &key).await;
        assert_bare(&unnamed, 400, "userId is required", "MISSING_PARAMETER");
        assert_eq!(
            ask(of_bob.clone(), &token("ann")).await.status,
            403,
            "{path}"
        );
        assert_eq!(ask(of_bob.clone(), &other_key).await.status, 403, "{path}");

        assert_eq!(
            ask(of_bob, &key).await.body,
            ask(path.to_owned(), &token("bob")).await.body
        );
    }
}

#[tokio::test]
async fn a_fault_of_ours_tells_nothing() {
    let api = Api::start().await;
    api.subscriber("ann", "ai_secretary", "active").await;
    // More than an amount can be, by a price nobody has.
    sqlx::query(
        "insert into billing_periods (period_id, account_id, starts_at, ends_at, subscription_ref, customer_ref, tier,
                                      terms, created_at)
         values (gen_random_uuid(), 'ann', '2000-01-01Z', '2100-01-01Z', 'sub_ann', 'cus_ann', 'ai_secretary', $1, now())",
    )
    .bind(json!({
        "tier": "ai_secretary", "currency": "usd", "number_fee_minor": i64::MAX,
        "meters": { "sms": { "included": 0, "rates": [{ "rate": i64::MAX }] } },
    }))
    .execute(&api.db)
    .await
    .unwrap();
    super::used(&api.db, "ann", "sms", 1_000_000, super::now()).await;
    sqlx::query("update billing_periods set closed_at = now(), rated_at = now()")
        .execute(&api.db)
        .await
        .unwrap();

    let answer = api.get(USAGE, &token("ann")).await;

    assert_bare(&answer, 500, "Internal server error", "INTERNAL_ERROR");
}
