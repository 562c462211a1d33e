//! The sandbox as somebody uses it who runs it alone: everything over HTTP.

use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::client::{PRICE, World};

async fn control(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("http://{}/sandbox/{path}", world.sandbox.address());
    let response = world
        .http
        .request(method, url)
        .json(&body)
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn faults_are_set_listed_and_cleared() {
    let world = World::start().await;
    let rules = json!([
        {
            "provider": "twilio",
            "method": "POST",
            "path_contains": "IncomingPhoneNumbers",
            "when": {"nth": 2},
            "fault": "cut_after_effect",
        },
        {"when": {"share": 1.0}, "fault": {"error_before": {"status": 503}}},
    ]);

    let (status, set) = control(&world, Method::POST, "faults", rules.clone()).await;
    assert_eq!(status, 200);
    assert_eq!(set[0], rules[0]);
    assert_eq!(
        world.stripe(Method::GET, "/v1/prices", &[]).await.status,
        503
    );
    let slow = json!({"fault": {"late_execution": {"ms": 5000}}});
    assert_eq!(
        control(&world, Method::POST, "faults", slow)
            .await
            .1
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    control(&world, Method::DELETE, "faults", Value::Null).await;
    assert_eq!(
        world.stripe(Method::GET, "/v1/prices", &[]).await.status,
        200
    );
}

#[tokio::test]
async fn an_unknown_fault_is_refused_with_a_sentence() {
    let world = World::start().await;

    let (status, answer) =
        control(&world, Method::POST, "faults", json!({"fault": "gremlins"})).await;

    assert_eq!(status, 400);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .starts_with("the body is not what is expected here")
    );
}

#[tokio::test]
async fn the_clock_moves_on_and_never_back() {
    let world = World::start().await;
    let before = world.sandbox.now();

    let (moved, _) = control(
        &world,
        Method::POST,
        "clock",
        json!({"advance_seconds": 3600}),
    )
    .await;
    let (back, _) = control(
        &world,
        Method::POST,
        "clock",
        json!({"advance_seconds": -1}),
    )
    .await;

    assert_eq!((moved, back), (200, 400));
    assert!(world.sandbox.now() - before >= TimeDelta::hours(1));
}

#[tokio::test]
async fn a_checkout_is_completed_and_shows_in_the_state() {
    let world = World::start().await;
    let form = [
        ("mode", "subscription"),
        ("line_items[0][price]", PRICE),
        ("client_reference_id", "user_42"),
        ("customer_email", "zoe@example.com"),
    ];
    let session = world
        .stripe(Method::POST, "/v1/checkout/sessions", &form)
        .await
        .body;
    let path = format!("checkout/{}/complete", session["id"].as_str().unwrap());

    let (status, completed) = control(&world, Method::POST, &path, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(
        control(&world, Method::POST, &path, Value::Null).await.0,
        404
    );
    let subscription = completed["subscription"].as_str().unwrap();
    let path = format!("subscriptions/{subscription}/status");
    control(&world, Method::POST, &path, json!({"status": "past_due"})).await;

    let (_, state) = control(&world, Method::GET, "state", Value::Null).await;
    assert_eq!(state["stripe"]["subscriptions"], json!({"past_due": 1}));
    assert_eq!(state["stripe"]["customers"], 1);
}

#[tokio::test]
async fn the_state_tells_no_secret() {
    let world = World::start().await;
    let (_, token) = world.subaccount("acct:1").await;

    let (_, state) = control(&world, Method::GET, "state", Value::Null).await;

    assert_eq!(state["twilio"]["subaccounts"][0]["friendly_name"], "acct:1");
    assert!(!state.to_string().contains(&token));
}

#[tokio::test]
async fn a_stopped_sandbox_serves_no_more() {
    let world = World::start().await;
    let url = format!("{}/v1/prices", world.sandbox.stripe_base());
    let before = world.http.get(&url).send().await.unwrap().status();

    world.sandbox.stop().await;

    assert_eq!(before, StatusCode::UNAUTHORIZED);
    assert!(world.http.get(&url).send().await.unwrap_err().is_connect());
}
