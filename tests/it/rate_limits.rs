//! How much each caller may ask, and what happens to the request beyond.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::{config::RateLimitConfig, http::auth::Scope};

use crate::support::{
    api::{Answer, Api, Setup, assert_enveloped, token},
    until,
    web::{Web, golden_files},
};

const CONFIG: &str = "/api/subscription/twilio-config";
const NUMBERS: &str = "/api/twilio/numbers";
const PROVISION: &str = "/api/subscription/provision-twilio";
const SUBACCOUNT: &str = "/api/twilio/subaccount/provision";

/// So many requests a minute, and so many orders an hour.
fn limits(requests_max: u32, phone_per_hour_max: u32) -> RateLimitConfig {
    RateLimitConfig {
        window: Duration::from_secs(60),
        requests_max,
        phone_per_hour_max,
        billing_per_hour_max: 0,
    }
}

async fn limited(requests_max: u32, phone_per_hour_max: u32) -> Api {
    Api::start_with(Setup {
        rate_limits: Some(limits(requests_max, phone_per_hour_max)),
        // Nobody works: an order is answered at once with where it stands.
        provision_wait: Duration::ZERO,
        ..Setup::default()
    })
    .await
}

fn wish(account_id: &str) -> Value {
    json!({ "userId": account_id, "email": "a@example.com", "subscriptionTier": "repx2" })
}

#[track_caller]
fn assert_refused(answer: &Answer, class: &str) {
    assert_eq!(answer.status, 429, "{}", answer.text);
    let standing = format!("\"{class}\";r=0;t=");
    let all = answer.headers.get_all("ratelimit").iter();
    let of_class = all.filter(|value| value.to_str().unwrap().starts_with(&standing));
    assert_eq!(of_class.count(), 1, "{:?}", answer.headers);
}

/// As many requests as are let through until the first that is not.
async fn let_through(api: &Api, path: &str, credential: &str, headers: &[(&str, &str)]) -> usize {
    for count in 0..20 {
        let answer = api.call(Method::GET, path, credential, None, headers).await;
        if answer.status == 429 {
            return count;
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    20
}

#[tokio::test]
async fn the_request_beyond_the_limit_is_told_when_to_come_back() {
    let api = limited(3, 0).await;
    let ann = token("ann");
    for remaining in [2, 1, 0] {
        let answer = api.get(CONFIG, &ann).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["ratelimit-policy"], r#""api";q=3;w=60"#);
        let reset = 20 * (3 - remaining);
        let standing = format!(r#""api";r={remaining};t={reset}"#);
        assert_eq!(answer.headers["ratelimit"], standing);
    }

    let refused = api.get(CONFIG, &ann).await;

    let seconds: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    let message = refused.body["message"].as_str().unwrap().to_owned();
    assert_enveloped(&refused, 429, "RATE_LIMIT_EXCEEDED", &message);
    assert!(
        message.contains(&format!("in {seconds} second")),
        "{message}"
    );
    assert_eq!(
        refused.body["error"]["details"],
        json!({ "limit": 3, "windowSeconds": 60, "retryAfterSeconds": seconds })
    );
    assert_eq!(refused.headers["ratelimit-policy"], r#""api";q=3;w=60"#);
    assert_eq!(
        refused.headers["ratelimit"],
        format!(r#""api";r=0;t={seconds}"#)
    );
    assert_eq!(refused.headers["cache-control"], "no-store");
    let flat = api.get(NUMBERS, &ann).await;
    assert_eq!(flat.status, 429);
    assert_eq!(flat.body["code"], "RATE_LIMIT_EXCEEDED");
    assert!(flat.body["error"].is_string(), "{}", flat.text);
}

#[tokio::test]
async fn whoever_comes_back_when_told_is_let_in() {
    let window = Duration::from_secs(1);
    let api = Api::start_with(Setup {
        rate_limits: Some(RateLimitConfig {
            window,
            ..limits(1, 0)
        }),
        ..Setup::default()
    })
    .await;
    let ann = token("ann");
    until("a request is one too many", async || {
        api.get(NUMBERS, &ann).await.status == 429
    })
    .await;

    until("the second is over", async || {
        api.get(NUMBERS, &ann).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn one_users_flood_takes_nothing_from_another() {
    let api = limited(3, 0).await;
    assert_eq!(let_through(&api, NUMBERS, &token("eve"), &[]).await, 3);

    assert_eq!(let_through(&api, CONFIG, &token("ann"), &[]).await, 3);
}

#[tokio::test]
async fn an_app_has_a_budget_for_each_user_it_names_and_one_for_naming_nobody() {
    let api = limited(3, 0).await;
    let (crm, other) = (api.key(&[Scope::All]).await, api.key(&[Scope::All]).await);
    let ann = [("x-user-id", "ann")];

    assert_eq!(let_through(&api, NUMBERS, &crm, &ann).await, 3);
    let ben = format!("{NUMBERS}?userId=ben");
    assert_eq!(let_through(&api, &ben, &crm, &[]).await, 3);
    assert_eq!(let_through(&api, NUMBERS, &other, &ann).await, 3);
    assert_eq!(let_through(&api, NUMBERS, &token("ann"), &[]).await, 3);
    for status in [400, 400, 400, 429] {
        assert_eq!(api.get(NUMBERS, &crm).await.status, status);
    }
}

#[tokio::test]
async fn a_wrong_credential_is_counted_against_nobody() {
    let api = limited(2, 0).await;
    let crm = api.key(&[Scope::SubscriptionRead]).await;
    for _ in 0..10 {
        for credential in ["", "nonsense", &format!("{}x", token("ann"))] {
            let answer = api.get(NUMBERS, credential).await;
            assert_eq!(answer.status, 401);
            assert!(!answer.headers.contains_key("ratelimit"));
        }
        // Who may not ask at all, and who asks about another.
        let no_scope = api.get("/api/twilio/numbers?userId=ann", &crm).await;
        let not_theirs = api.get("/api/subscription/ann", &token("eve")).await;
        for refused in [no_scope, not_theirs] {
            assert_eq!(refused.status, 403);
            assert!(!refused.headers.contains_key("ratelimit"));
        }
    }

    assert_eq!(let_through(&api, NUMBERS, &token("ann"), &[]).await, 2);
    assert_eq!(let_through(&api, NUMBERS, &token("eve"), &[]).await, 2);
    assert_eq!(
        let_through(&api, "/api/subscription/ann", &crm, &[]).await,
        2
    );
}

#[tokio::test]
async fn fifteen_requests_at_once_are_let_through_by_the_limits_we_ship() {
    let shipped = tollkeeper::config::Config::from_map(&Default::default()).unwrap();
    let api = Api::start_with(Setup {
        rate_limits: Some(shipped.rate_limits),
        ..Setup::default()
    })
    .await;
    let crm = api.key(&[Scope::All]).await;

    let path = format!("{NUMBERS}?userId=ann");
    let all = (0..15).map(|_| api.get(&path, &crm));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["ratelimit-policy"], r#""api";q=300;w=60"#);
    }
}

#[tokio::test]
async fn a_refused_order_has_no_effect() {
    let api = limited(0, 2).await;
    let crm = api.key(&[Scope::All]).await;
    // Three orders of one user: each goes wrong for good before the next.
    api.subscriber("ann", "repx2", "active").await;
    for remaining in [1, 0] {
        let ordered = api.post(PROVISION, &crm, wish("ann")).await;
        assert_eq!(ordered.status, 202, "{}", ordered.text);
        assert_eq!(ordered.headers["ratelimit-policy"], r#""phone";q=2;w=3600"#);
        let standing = ordered.headers["ratelimit"].to_str().unwrap();
        assert!(standing.starts_with(&format!("\"phone\";r={remaining};")));
        give_up(&api, "ann").await;
    }

    let refused = api.post(PROVISION, &crm, wish("ann")).await;
    let other_path = format!("{SUBACCOUNT}?userId=ann");
    let refused_too = api.post(&other_path, &crm, Value::Null).await;

    assert_refused(&refused, "phone");
    assert_eq!(refused.body["error"]["details"]["windowSeconds"], 3600);
    assert_refused(&refused_too, "phone");
    assert_eq!(api.jobs("ann").await, 0);
    let status: String =
        sqlx::query_scalar("select status from telephony where account_id = 'ann'")
            .fetch_one(&api.db)
            .await
            .unwrap();
    assert_eq!(status, "failed");
    // Another user's order is another budget, of the same app too.
    api.subscriber("ben", "repx2", "active").await;
    assert_eq!(api.post(PROVISION, &crm, wish("ben")).await.status, 202);
}

/// What the workers leave behind when an order failed.
async fn give_up(api: &Api, account_id: &str) {
    for sql in [
        "delete from queue.jobs where account_id = $1",
        "update telephony set status = 'failed', why = 'no stock' where account_id = $1",
    ] {
        sqlx::query(sql)
            .bind(account_id)
            .execute(&api.db)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn asking_again_for_what_is_ordered_already_is_no_order() {
    let api = limited(0, 1).await;
    api.subscriber("ann", "repx2", "active").await;
    let ann = token("ann");
    assert_eq!(api.post(PROVISION, &ann, wish("ann")).await.status, 202);

    for _ in 0..5 {
        let again = api.post(PROVISION, &ann, wish("ann")).await;
        assert_eq!(again.status, 202, "{}", again.text);
        assert!(!again.headers.contains_key("ratelimit"));
    }
    api.provisioned("ann", "+14155550100").await;
    for _ in 0..5 {
        let again = api.post(PROVISION, &ann, wish("ann")).await;
        assert_eq!(again.status, 200, "{}", again.text);
    }
}

#[tokio::test]
async fn an_order_that_was_never_possible_is_not_counted() {
    let api = limited(0, 1).await;
    let ann = token("ann");
    for _ in 0..3 {
        let refused = api.post(PROVISION, &ann, wish("ann")).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.body["error"]["code"], "INVALID_TIER");
    }
    api.subscriber("ann", "repx2", "active").await;

    assert_eq!(api.post(PROVISION, &ann, wish("ann")).await.status, 202);
}

#[tokio::test]
async fn a_signed_webhook_is_never_limited() {
    let web = Web::with(|config| config.rate_limits = limits(1, 1)).await;
    let (_, event) = golden_files(
        "webhooks/stripe/new",
        "invoice.paid.subscription_create.json",
    )
    .pop()
    .unwrap();
    let token = "a-made-up-token";
    let call = [
        ("CallSid", "CA1"),
        ("AccountSid", "AC00000000000000000000000000000001"),
        ("To", "+14155550100"),
    ];

    for _ in 0..10 {
        let stripe = web.stripe("/stripe/webhook", &event).await;
        let twilio = web.twilio("/api/twilio/voice/ann", &call, token).await;
        let health = web.get("/healthz").send().await.unwrap();
        let docs = web.get("/openapi.json").send().await.unwrap();
        for answer in [stripe, twilio, health, docs] {
            assert_eq!(answer.status(), 200);
            assert!(!answer.headers().contains_key("ratelimit"));
        }
    }
}

#[tokio::test]
async fn refusals_are_figures_and_tell_nobodys_name() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // The server runs on this test's own thread.
    let _here = metrics::set_default_local_recorder(&recorder);
    let api = limited(1, 0).await;
    let ann = token("ann");

    for status in [200, 429, 429] {
        assert_eq!(api.get(NUMBERS, &ann).await.status, status);
    }

    let figures = recorder.handle().render();
    let line = r#"tollkeeper_api_rate_limited_total{class="api"} 2"#;
    assert!(figures.contains(line), "{figures}");
    assert!(!figures.contains("ann"), "{figures}");
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_what_is_left() {
    let api = Api::start_with(Setup {
        cors_origins: vec!["https://crm.example".to_owned()],
        rate_limits: Some(limits(1, 0)),
        ..Setup::default()
    })
    .await;
    let origin = [("origin", "https://crm.example")];

    for status in [200, 429] {
        let answer = api
            .call(Method::GET, NUMBERS, &token("ann"), None, &origin)
            .await;

        assert_eq!(answer.status, status);
        let exposed = answer.headers["access-control-expose-headers"]
            .to_str()
            .unwrap();
        for header in ["ratelimit", "ratelimit-policy", "retry-after", "etag"] {
            let mut names = exposed.split(',').map(str::trim);
            assert!(names.any(|name| name == header), "{header}: {exposed}");
        }
    }
}

#[tokio::test]
async fn questions_about_bills_have_a_budget_of_their_own() {
    let api = Api::start_with(Setup {
        rate_limits: Some(RateLimitConfig {
            billing_per_hour_max: 2,
            ..limits(0, 0)
        }),
        ..Setup::default()
    })
    .await;
    let ann = token("ann");
    for path in ["/api/billing/usage", "/api/billing/history"] {
        assert_ne!(api.get(path, &ann).await.status, 429, "{path}");
    }
    let refused = api.get("/api/billing/usage", &ann).await;
    assert_refused(&refused, "billing");
    assert_eq!(api.get(CONFIG, &ann).await.status, 200);
}
