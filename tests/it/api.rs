//! What apps ask about their users, and what they are answered.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tollkeeper::http::auth::Scope;

use crate::support::api::{Api, assert_enveloped, token};

const SUBACCOUNT: &str = "/api/twilio/subaccount/provision";

#[tokio::test]
async fn a_user_without_a_number_has_no_configuration() {
    let api = Api::start().await;
    api.account("ann").await;

    let path = "/api/subscription/twilio-config";
    let answer = api.get(path, &token("ann")).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["data"], json!({ "configured": false }));
    assert_eq!(answer.body["message"], "No Twilio configuration found");

    let key = api.key(&[Scope::TelephonyRead]).await;
    let answer = api.get(path, &key).await;
    assert_enveloped(&answer, 400, "MISSING_PARAMETER", "userId is required");
}

#[tokio::test]
async fn a_configuration_shows_the_number_and_never_the_token() {
    let api = Api::start().await;
    api.account("ann lee").await;
    api.provisioned("ann lee", "+14155550100").await;
    let key = api.key(&[Scope::TelephonyRead]).await;

    let answer = api
        .get("/api/subscription/twilio-config?userId=ann+lee", &key)
        .await;

    assert_eq!(
        answer.body["data"],
        json!({
            "phoneNumber": "+14155550100",
            "status": "active",
            "configured": true,
            "webhookUrl": "https://toll.example/api/twilio/voice/ann%20lee",
            "createdAt": "2026-11-02T00:00:00.000Z",
        })
    );
    assert!(!answer.text.contains("sealed"), "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "private, no-cache");
}

#[tokio::test]
async fn a_subscription_shows_its_plan_and_limits() {
    let api = Api::start().await;
    api.subscriber("ann", "repx5", "active").await;

    let answer = api.get("/api/subscription/ann", &token("ann")).await;

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let features = json!({
        "calls": "unlimited",
        "emails": "unlimited",
        "canvas_scans": "unlimited",
        "ai_queries": "unlimited",
        "transcriptions": "unlimited",
    });
    assert_eq!(
        answer.body,
        json!({
            "success": true,
            "subscription": {
                "user_id": "ann",
                "plan_id": "repx5",
                "status": "active",
                "stripe_subscription_id": "sub_ann",
                "stripe_customer_id": "cus_ann",
                "stripe_price_id": null,
                "current_period_start": "2026-11-01T00:00:00.000Z",
                "current_period_end": "2026-12-01T00:00:00.000Z",
                "trial_end": null,
                "cancel_at_period_end": false,
                "canceled_at": null,
                "created_at": "2026-11-01T00:00:00.000Z",
                "updated_at": "2026-11-01T00:00:00.000Z",
            },
            "plan": { "id": "repx5", "name": "Rep⁵", "price": 997.0, "features": features },
            "usage": {},
            "limits": features,
        })
    );
}

#[tokio::test]
async fn without_a_running_subscription_the_free_plan_is_in_effect() {
    let api = Api::start().await;
    for status in ["canceled", "past_due", "unpaid", "paused"] {
        api.subscriber(status, "repx1", status).await;
    }
    let key = api.key(&[Scope::SubscriptionRead]).await;

    let nobody = api.get("/api/subscription/nobody", &key).await;
    let canceled = api.get("/api/subscription/canceled", &key).await;

    let row = nobody.body["subscription"].as_object().unwrap();
    for (column, value) in row {
        let expected = match column.as_str() {
            "user_id" => json!("nobody"),
            "plan_id" | "status" => json!("free"),
            _ => Value::Null,
        };
        assert_eq!(*value, expected, "{column}");
    }
    assert!(row.contains_key("stripe_subscription_id"));
    assert_eq!(nobody.body["plan"]["id"], "free");
    assert_eq!(
        nobody.body["limits"],
        json!({ "calls": 0, "emails": 0, "canvas_scans": 0, "ai_queries": 10, "transcriptions": 5 })
    );
    let row = &canceled.body["subscription"];
    assert_eq!(row["plan_id"], "free");
    assert_eq!(row["status"], "canceled");
    assert_eq!(row.get("stripe_subscription_id"), Some(&Value::Null));
    assert_eq!(row["stripe_customer_id"], "cus_canceled");
    assert_eq!(canceled.body["plan"]["id"], "free");
    // What may be paid yet is a subscription still.
    for status in ["past_due", "unpaid", "paused"] {
        let answer = api.get(&format!("/api/subscription/{status}"), &key).await;
        let row = &answer.body["subscription"];
        assert_eq!(
            (&row["plan_id"], &row["status"]),
            (&json!("repx1"), &json!(status))
        );
        assert_eq!(row["stripe_subscription_id"], format!("sub_{status}"));
    }
}

#[tokio::test]
async fn of_several_subscriptions_the_running_one_counts() {
    let api = Api::start().await;
    api.subscriber("ann", "repx1", "active").await;
    sqlx::query(
        "insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier, created_at, synced_at)
         values ('sub_later', 'ann', 'cus_ann', 'canceled', 'repx5', '2026-11-09Z', '2026-11-09Z')",
    )
    .execute(&api.db)
    .await
    .unwrap();

    let answer = api.get("/api/subscription/ann", &token("ann")).await;

    assert_eq!(answer.body["plan"]["id"], "repx1");
}

#[tokio::test]
async fn words_of_the_api_are_never_taken_for_users() {
    let api = Api::start().await;
    let key = api.key(&[Scope::All]).await;

    let config = api
        .get("/api/subscription/twilio-config?userId=ann", &key)
        .await;
    assert_eq!(config.body["data"], json!({ "configured": false }));
    for word in ["status", "usage", "billing-history"] {
        let answer = api.get(&format!("/api/subscription/{word}"), &key).await;
        assert_enveloped(&answer, 404, "NOT_FOUND", "There is nothing at this path");
    }
}

#[tokio::test]
async fn a_subaccount_shows_where_it_stands() {
    let api = Api::start().await;
    api.account("ann").await;

    let before = api.get(SUBACCOUNT, &token("ann")).await;
    api.provisioned("ann", "+14155550100").await;
    let after = api.get(SUBACCOUNT, &token("ann")).await;

    assert_eq!(before.body, json!({ "hasSubaccount": false }));
    assert_eq!(after.body["hasSubaccount"], true);
    assert_eq!(after.body["status"], "active");
    assert_eq!(after.body["createdAt"], "2026-11-02T00:00:00.000Z");
    assert!(
        after.body["subaccountSid"]
            .as_str()
            .unwrap()
            .starts_with("AC")
    );
}

#[tokio::test]
async fn numbers_in_use_are_listed_primary_first() {
    let api = Api::start().await;
    api.account("ann").await;
    let none = api.get("/api/twilio/numbers", &token("ann")).await;
    assert_eq!(none.body, json!({ "success": true, "numbers": [] }));
    api.provisioned("ann", "+14155550100").await;
    sqlx::query(
        "insert into phone_numbers (id, account_id, status, phone_number, number_ref, is_included, is_primary, purchased_at)
         values (gen_random_uuid(), 'ann', 'active', '+14155550101', 'PN1', false, false, '2026-01-01Z'),
                (gen_random_uuid(), 'ann', 'suspended', '+14155550102', 'PN2', false, false, '2026-01-01Z'),
                (gen_random_uuid(), 'ann', 'ordered', null, null, false, false, null)",
    )
    .execute(&api.db)
    .await
    .unwrap();

    let answer = api.get("/api/twilio/numbers", &token("ann")).await;

    let numbers = answer.body["numbers"].as_array().unwrap();
    let listed: Vec<_> = numbers
        .iter()
        .map(|n| n["phone_number"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ["+14155550100", "+14155550101"]);
    assert_eq!(numbers[0]["user_id"], "ann");
    assert_eq!(numbers[0]["is_primary"], true);
    assert_eq!(
        numbers[0]["capabilities"],
        json!({ "voice": true, "sms": true, "mms": false })
    );
}

#[tokio::test]
async fn a_user_id_may_be_any_text() {
    let api = Api::start().await;
    for (id, escaped) in [
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("a'; --", "a'%3B%20--"),
        ("ü", "%C3%BC"),
    ] {
        api.subscriber(id, "repx1", "active").await;

        let answer = api
            .get(&format!("/api/subscription/{escaped}"), &token(id))
            .await;

        assert_eq!(
            answer.body["subscription"]["user_id"], id,
            "{}",
            answer.text
        );
        assert_eq!(answer.body["plan"]["id"], "repx1");
    }
}
