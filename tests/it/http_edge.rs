//! What surrounds every API request.

use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tollkeeper::http::auth::Scope;

use crate::support::api::{Api, Setup, assert_enveloped, token};

const PROVISION: &str = "/api/subscription/provision-twilio";

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
async fn what_is_sent_empty_is_left_out() {
    let api = Api::start().await;
    let key = api.key(&[Scope::All]).await;
    let nothing = async |path: &str, credential: &str, headers: &[(&str, &str)]| {
        api.call(Method::POST, path, credential, None, headers)
            .await
    };

    let json = [("content-type", "application/json")];
    for headers in [&[][..], &json] {
        let answer = nothing("/api/subscription/check-limits", &key, headers).await;
        assert_eq!(answer.body["error"]["code"], "MISSING_PARAMETERS");
        let answer = nothing("/api/subscription/clear-cache", &key, headers).await;
        assert_enveloped(&answer, 403, "FORBIDDEN", "Invalid admin key");
    }
    let lists = [
        "/api/twilio/calls?limit=&cursor=&phoneNumber=&type",
        "/api/twilio/sms?limit=",
        "/api/transcriptions?status=&limit=",
    ];
    for path in lists {
        let answer = api.get(path, &token("ann")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    }
    let wrong = api.get("/api/twilio/calls?limit=x", &token("ann")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn blanks_around_an_address_are_not_part_of_it() {
    let api = Api::start().await;
    api.subscriber("ann", "repx1", "active").await;
    let key = api.key(&[Scope::TelephonyWrite]).await;
    let wish = json!({
        "userId": "ann", "email": " ann@example.com ", "subscriptionTier": "repx1", "areaCode": "",
    });

    let answer = api.post(PROVISION, &key, wish).await;

    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let kept: String = sqlx::query_scalar("select email from accounts where account_id = 'ann'")
        .fetch_one(&api.db)
        .await
        .unwrap();
    assert_eq!(kept, "ann@example.com");
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

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_user() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // The server runs on this test's own thread.
    let _here = metrics::set_default_local_recorder(&recorder);
    let api = Api::start().await;

    api.get("/api/subscription/ann", &token("ann")).await;
    api.get("/api/subscription/ann", "").await;
    api.get("/nowhere/ann", "").await;

    let figures = recorder.handle().render();
    for line in [
        r#"{route="/api/subscription/:param0",method="GET",status="200"} 1"#,
        r#"{route="/api/subscription/:param0",method="GET",status="401"} 1"#,
        r#"{route="none",method="GET",status="404"} 1"#,
    ] {
        assert!(
            figures.contains(&format!("tollkeeper_api_requests_total{line}")),
            "{figures}"
        );
    }
    assert!(!figures.contains("ann"), "{figures}");
}
