//! What apps ask, and what they are answered.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollkeeper::http::auth::Scope;

use crate::support::{
    cluster,
    context_api::{Answer, Api, Setup, token},
};

const PROVISION: &str = "/api/subscription/provision-twilio";
const SUBACCOUNT: &str = "/api/twilio/subaccount/provision";

fn wish(account_id: &str) -> Value {
    json!({ "userId": account_id, "email": "ann@example.com", "subscriptionTier": "repx1" })
}

/// A refusal of the enveloped family, its clock left out.
#[track_caller]
fn assert_enveloped(answer: &Answer, status: u16, code: &str, message: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.body["success"], false);
    assert_eq!(answer.body["error"]["code"], code, "{}", answer.text);
    assert_eq!(answer.body["error"]["message"], message);
    assert_eq!(answer.body["error"]["statusCode"], status);
    assert_eq!(answer.body["message"], message);
    assert!(answer.body["timestamp"].as_str().unwrap().ends_with('Z'));
}

/// Carries out an order as the workers do, as soon as its job is stored.
async fn provision_when_asked(api: &Api, account_id: &str, number: &str) {
    while api.jobs(account_id).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    api.provisioned(account_id, number).await;
}

#[tokio::test]
async fn an_order_waits_for_its_number() {
    let api = Api::start().await;
    api.subscriber("ann", "repx1", "active").await;
    let key = api.key(&[Scope::TelephonyWrite]).await;

    let (answer, ()) = tokio::join!(
        api.post(PROVISION, &key, wish("ann")),
        provision_when_asked(&api, "ann", "+14155550100"),
    );

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.body["success"], true);
    assert_eq!(answer.body["message"], "Twilio provisioned successfully");
    assert_eq!(
        answer.body["data"],
        json!({
            "phoneNumber": "+14155550100",
            "status": "active",
            "webhookUrl": "https://toll.example/api/twilio/voice/ann",
            "provisioned": true,
        })
    );
}

#[tokio::test]
async fn an_order_that_takes_long_says_where_to_ask() {
    let setup = Setup {
        provision_wait: Duration::from_millis(1),
        ..Setup::default()
    };
    let api = Api::start_with(setup).await;
    api.subscriber("ann", "repx1", "trialing").await;
    let key = api.key(&[Scope::All]).await;

    let first = api.post(PROVISION, &key, wish("ann")).await;
    let again = api.post(PROVISION, &key, wish("ann")).await;

    for answer in [&first, &again] {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        assert_eq!(answer.body["data"]["provisioned"], false);
        assert_eq!(answer.body["data"]["status"], "provisioning");
        assert!(answer.body["data"].get("phoneNumber").is_none());
        assert_eq!(
            answer.headers["location"],
            "/api/subscription/twilio-config?userId=ann"
        );
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert_eq!(api.jobs("ann").await, 1);
    let (status, email): (String, Option<String>) = sqlx::query_as(
        "select t.status, a.email from telephony t join accounts a using (account_id)",
    )
    .fetch_one(&api.db)
    .await
    .unwrap();
    assert_eq!(
        (status.as_str(), email.as_deref()),
        ("pending", Some("ann@example.com"))
    );
}

#[tokio::test]
async fn a_user_cannot_claim_an_email_address() {
    let setup = Setup {
        provision_wait: Duration::ZERO,
        ..Setup::default()
    };
    let api = Api::start_with(setup).await;
    api.subscriber("eve", "repx1", "active").await;

    let answer = api.post(PROVISION, &token("eve"), wish("eve")).await;

    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let email: Option<String> = sqlx::query_scalar("select email from accounts")
        .fetch_one(&api.db)
        .await
        .unwrap();
    assert_eq!(email, None);
}

#[tokio::test]
async fn an_order_for_an_active_account_buys_nothing() {
    let api = Api::start().await;
    api.subscriber("ann", "repx1", "active").await;
    api.provisioned("ann", "+14155550100").await;
    let key = api.key(&[Scope::TelephonyWrite]).await;

    let answer = api.post(PROVISION, &key, wish("ann")).await;

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.body["message"], "Twilio already provisioned");
    assert_eq!(
        answer.body["data"],
        json!({ "phoneNumber": "+14155550100", "status": "active", "provisioned": true })
    );
    assert_eq!(api.jobs("ann").await, 0);
}

#[tokio::test]
async fn an_order_that_failed_says_why_and_may_be_repeated() {
    let api = Api::start().await;
    let ann = token("ann");
    api.subscriber("ann", "repx1", "active").await;
    sqlx::query(
        "create function fail() returns trigger language plpgsql as $$
         begin
             update telephony set status = 'failed', why = 'no number for +14155550100 in stock';
             return null;
         end $$",
    )
    .execute(&api.db)
    .await
    .unwrap();
    sqlx::query("create trigger fail after insert on queue.jobs execute function fail()")
        .execute(&api.db)
        .await
        .unwrap();

    let answer = api.post(PROVISION, &ann, wish("ann")).await;

    assert_enveloped(
        &answer,
        500,
        "PROVISIONING_ERROR",
        "Failed to provision Twilio",
    );
    assert_eq!(
        answer.body["error"]["details"],
        "no number for +*** in stock"
    );

    sqlx::query("drop trigger fail on queue.jobs")
        .execute(&api.db)
        .await
        .unwrap();
    sqlx::query("delete from queue.jobs")
        .execute(&api.db)
        .await
        .unwrap();
    let (answer, ()) = tokio::join!(api.post(PROVISION, &ann, wish("ann")), async {
        while api.jobs("ann").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let status: String = sqlx::query_scalar("select status from telephony")
            .fetch_one(&api.db)
            .await
            .unwrap();
        assert_eq!(status, "pending");
        api.provisioned("ann", "+14155550100").await;
    });
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn the_own_subscription_decides_and_not_what_the_request_says() {
    let api = Api::start().await;
    api.subscriber("lapsed", "repx1", "canceled").await;
    api.subscriber("late", "repx1", "past_due").await;
    api.subscriber("unknown", "repx9", "active").await;
    let key = api.key(&[Scope::TelephonyWrite]).await;
    for (account_id, tier) in [
        ("nobody", "free"),
        ("lapsed", "free"),
        ("late", "repx1"),
        ("unknown", "repx9"),
    ] {
        let body = json!({ "userId": account_id, "email": "a@b.c", "subscriptionTier": "repx5" });

        let answer = api.post(PROVISION, &key, body).await;

        let message = format!("Twilio provisioning requires RepX1 or higher. Current tier: {tier}");
        assert_enveloped(&answer, 400, "INVALID_TIER", &message);
        assert_eq!(api.jobs(account_id).await, 0);
    }
    let made: i64 = sqlx::query_scalar("select count(*) from telephony")
        .fetch_one(&api.db)
        .await
        .unwrap();
    assert_eq!(made, 0);
}

#[tokio::test]
async fn an_incomplete_order_is_refused_with_the_old_texts() {
    let api = Api::start().await;
    api.subscriber("ann", "repx1", "active").await;
    let key = api.key(&[Scope::TelephonyWrite]).await;
    let missing = "userId, email, and subscriptionTier are required";
    for left_out in ["userId", "email", "subscriptionTier"] {
        let mut body = wish("ann");
        body[left_out] = Value::Null;
        let answer = api.post(PROVISION, &key, body.clone()).await;
        assert_enveloped(&answer, 400, "MISSING_PARAMETERS", missing);

        body[left_out] = json!("");
        let answer = api.post(PROVISION, &key, body).await;
        assert_enveloped(&answer, 400, "MISSING_PARAMETERS", missing);
    }
    for (name, value, code) in [
        ("areaCode", json!("4155"), "INVALID_AREA_CODE"),
        ("areaCode", json!("'; --"), "INVALID_AREA_CODE"),
        ("email", json!("ann"), "INVALID_EMAIL"),
        ("subscriptionTier", json!("platinum"), "INVALID_TIER"),
        ("userId", json!("x".repeat(201)), "INVALID_USER_ID"),
        ("userId", json!("a\u{0}b"), "INVALID_USER_ID"),
        ("email", json!(["ann@example.com"]), "INVALID_REQUEST"),
    ] {
        let mut body = wish("ann");
        body[name] = value;
        let answer = api.post(PROVISION, &key, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert_eq!(answer.body["error"]["code"], code);
    }
    assert_eq!(api.jobs("ann").await, 0);
}

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
}

#[tokio::test]
async fn a_subscription_shows_its_plan_and_limits() {
    let api = Api::start().await;
    api.subscriber("ann", "repx5", "active").await;

    let answer = api.get("/api/subscription/ann", &token("ann")).await;

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let features = json!({ "calls": "unlimited" });
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
                "current_period_start": "2026-11-01T00:00:00.000Z",
                "current_period_end": "2026-12-01T00:00:00.000Z",
                "cancel_at_period_end": false,
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
    api.subscriber("lapsed", "repx1", "canceled").await;
    let key = api.key(&[Scope::SubscriptionRead]).await;

    let nobody = api.get("/api/subscription/nobody", &key).await;
    let lapsed = api.get("/api/subscription/lapsed", &key).await;

    assert_eq!(
        nobody.body["subscription"],
        json!({ "user_id": "nobody", "plan_id": "free", "status": "free" })
    );
    assert_eq!(nobody.body["plan"]["id"], "free");
    assert_eq!(nobody.body["limits"], json!({ "calls": 0 }));
    assert_eq!(lapsed.body["subscription"]["plan_id"], "repx1");
    assert_eq!(lapsed.body["subscription"]["status"], "canceled");
    assert_eq!(lapsed.body["plan"]["id"], "free");
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
    for word in ["usage-stats", "status", "usage", "billing-history"] {
        let answer = api.get(&format!("/api/subscription/{word}"), &key).await;
        assert_enveloped(&answer, 404, "NOT_FOUND", "There is nothing at this path");
    }
}

#[tokio::test]
async fn a_subaccount_is_ordered_once() {
    let api = Api::start().await;
    api.subscriber("ann", "repx1", "active").await;
    let key = api.key(&[Scope::TelephonyWrite]).await;
    let path = format!("{SUBACCOUNT}?userId=ann");

    let (first, ()) = tokio::join!(
        api.call(
            Method::POST,
            &path,
            &key,
            None,
            &[("idempotency-key", "one")]
        ),
        provision_when_asked(&api, "ann", "+14155550100"),
    );
    let again = api
        .call(
            Method::POST,
            &path,
            &key,
            None,
            &[("idempotency-key", "one")],
        )
        .await;

    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!(first.body["success"], true);
    assert_eq!(
        first.body["message"],
        "Twilio subaccount created successfully"
    );
    assert_eq!(first.body["friendlyName"], "ann");
    assert!(
        first.body["subaccountSid"]
            .as_str()
            .unwrap()
            .starts_with("AC")
    );
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        again.body,
        json!({
            "success": false,
            "error": "User already has a Twilio subaccount",
            "code": "SUBACCOUNT_EXISTS",
        })
    );
}

#[tokio::test]
async fn a_subaccount_is_for_known_users_with_a_paid_plan() {
    let api = Api::start().await;
    api.account("ann").await;

    let unknown = api
        .call(Method::POST, SUBACCOUNT, &token("nobody"), None, &[])
        .await;
    let free = api
        .call(Method::POST, SUBACCOUNT, &token("ann"), None, &[])
        .await;

    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.body["error"], "User not found");
    assert_eq!(free.status, StatusCode::BAD_REQUEST);
    assert_eq!(free.body["code"], "INVALID_TIER");
    assert_eq!(api.jobs("ann").await, 0);
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
async fn a_wrong_request_is_refused_in_the_shape_of_its_path() {
    let api = Api::start().await;
    let key = api.key(&[Scope::All]).await;

    let nowhere = api.get("/nowhere", "").await;
    assert_enveloped(&nowhere, 404, "NOT_FOUND", "There is nothing at this path");
    let nowhere = api.get("/api/twilio/nowhere", &key).await;
    assert_eq!(nowhere.body["code"], "NOT_FOUND");
    let method = api
        .call(Method::DELETE, "/api/twilio/numbers", &key, None, &[])
        .await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.body["code"], "METHOD_NOT_ALLOWED");
    let form = reqwest::Client::new()
        .post(format!("{}{PROVISION}", api.base))
        .bearer_auth(&key)
        .body("userId=ann")
        .send()
        .await
        .unwrap();
    assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = json!({ "userId": "x".repeat(70_000) });
    let large = api.post(PROVISION, &key, large).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.body["error"]["code"], "BODY_TOO_LARGE");
}

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
async fn only_listed_origins_may_ask_from_a_browser() {
    let origins = vec!["https://crm.example".to_owned()];
    let api = Api::start_with(Setup {
        cors_origins: origins,
        ..Setup::default()
    })
    .await;
    let asks = async |method: Method, origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "GET")];
        api.call(method, "/api/twilio/numbers", &token("ann"), None, &headers)
            .await
    };

    let listed = asks(Method::GET, "https://crm.example").await;
    let preflight = asks(Method::OPTIONS, "https://crm.example").await;
    let stranger = asks(Method::GET, "https://evil.example").await;
    let app = api.get("/api/twilio/numbers", &token("ann")).await;

    for answer in [&listed, &preflight] {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(
            answer.headers["access-control-allow-origin"],
            "https://crm.example"
        );
        assert_eq!(answer.headers["access-control-allow-credentials"], "true");
    }
    assert_eq!(listed.headers["vary"], "Origin");
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    assert_eq!(stranger.body["code"], "ORIGIN_NOT_ALLOWED");
    assert!(!stranger.headers.contains_key("access-control-allow-origin"));
    assert_eq!(app.status, StatusCode::OK);
}

#[tokio::test]
async fn an_open_api_takes_no_credentials_of_browsers() {
    let api = Api::start_with(Setup {
        cors_origins: vec!["*".to_owned()],
        ..Setup::default()
    })
    .await;

    let headers = [("origin", "https://any.example")];
    let answer = api
        .call(
            Method::GET,
            "/api/twilio/numbers",
            &token("ann"),
            None,
            &headers,
        )
        .await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        !answer
            .headers
            .contains_key("access-control-allow-credentials")
    );
}
