//! Ordering telephony: what is asked for, stored and answered.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollkeeper::http::auth::Scope;

use crate::support::api::{Api, Setup, assert_enveloped, token};

const PROVISION: &str = "/api/subscription/provision-twilio";
const SUBACCOUNT: &str = "/api/twilio/subaccount/provision";

fn wish(account_id: &str) -> Value {
    json!({ "userId": account_id, "email": "ann@example.com", "subscriptionTier": "repx1" })
}

/// Carries out an order as the workers do, as soon as its job is stored.
async fn provision_when_asked(api: &Api, account_id: &str, number: &str) {
    until_asked(api, account_id).await;
    api.provisioned(account_id, number).await;
}

async fn until_asked(api: &Api, account_id: &str) {
    while api.jobs(account_id).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As the workers leave what they gave up.
async fn fail_when_asked(api: &Api) {
    until_asked(api, "ann").await;
    let failed = "update telephony set status = 'failed', why = 'no +14155550100 in stock';
                  delete from queue.jobs";
    sqlx::raw_sql(failed).execute(&api.db).await.unwrap();
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
    api.subscriber("ann", "repx1", "active").await;
    let ann = token("ann");

    let (failed, ()) = tokio::join!(
        api.post(PROVISION, &ann, wish("ann")),
        fail_when_asked(&api)
    );
    let (again, ()) = tokio::join!(
        api.post(PROVISION, &ann, wish("ann")),
        provision_when_asked(&api, "ann", "+14155550100"),
    );

    assert_enveloped(
        &failed,
        500,
        "PROVISIONING_ERROR",
        "Failed to provision Twilio",
    );
    assert_eq!(failed.body["error"]["details"], "no +*** in stock");
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
}

#[tokio::test]
async fn clients_of_the_one_number_are_told_that_it_failed() {
    let api = Api::start().await;
    api.subscriber("ann", "repx1", "active").await;
    let ann = token("ann");

    let (failed, ()) = tokio::join!(
        api.post("/api/phone/provision", &ann, json!({})),
        fail_when_asked(&api)
    );

    assert_eq!(failed.status, 500, "{}", failed.text);
    assert_eq!(failed.body["error"], "Failed to provision phone number");
    assert_eq!(failed.body["details"], "no +*** in stock");
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
async fn orders_at_the_same_moment_make_one_job() {
    let setup = Setup {
        provision_wait: Duration::ZERO,
        ..Setup::default()
    };
    let api = Api::start_with(setup).await;
    api.subscriber("ann", "repx1", "active").await;
    let ann = token("ann");
    let path = SUBACCOUNT;

    let answers = futures_util::future::join_all((0..20).map(async |turn| match turn % 2 {
        0 => api.post(PROVISION, &ann, wish("ann")).await,
        _ => api.call(Method::POST, path, &ann, None, &[]).await,
    }))
    .await;

    for answer in answers {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    }
    assert_eq!(api.jobs("ann").await, 1);
}

#[tokio::test]
async fn an_order_after_a_release_is_a_new_turn_and_after_a_failure_the_same() {
    let setup = Setup {
        provision_wait: Duration::ZERO,
        ..Setup::default()
    };
    let api = Api::start_with(setup).await;
    for (account_id, status, turn) in [
        ("released", "released", 4),
        ("failed", "failed", 3),
        ("pending", "pending", 3),
        ("suspended", "suspended", 3),
    ] {
        api.subscriber(account_id, "repx1", "active").await;
        sqlx::query(
            "insert into telephony (account_id, status, turn, area_code, release_at)
             values ($1, $2, 3, '415', now())",
        )
        .bind(account_id)
        .bind(status)
        .execute(&api.db)
        .await
        .unwrap();

        let answer = api
            .post(PROVISION, &token(account_id), wish(account_id))
            .await;

        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        let found: (String, i32, Option<String>) =
            sqlx::query_as("select status, turn, area_code from telephony where account_id = $1")
                .bind(account_id)
                .fetch_one(&api.db)
                .await
                .unwrap();
        let expected = if status == "suspended" {
            "suspended"
        } else {
            "pending"
        };
        assert_eq!(found, (expected.to_owned(), turn, Some("415".to_owned())));
    }
}

#[tokio::test]
async fn a_known_email_address_stays() {
    let setup = Setup {
        provision_wait: Duration::ZERO,
        ..Setup::default()
    };
    let api = Api::start_with(setup).await;
    api.subscriber("ann", "repx1", "active").await;
    sqlx::query("update accounts set email = 'first@example.com'")
        .execute(&api.db)
        .await
        .unwrap();
    let key = api.key(&[Scope::TelephonyWrite]).await;

    let answer = api.post(PROVISION, &key, wish("ann")).await;

    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let email: String = sqlx::query_scalar("select email from accounts")
        .fetch_one(&api.db)
        .await
        .unwrap();
    assert_eq!(email, "first@example.com");
}
