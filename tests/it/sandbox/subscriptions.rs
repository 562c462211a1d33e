//! Stripe's subscriptions: their shapes, their lives with the clock, their events and lists.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::Value;
use tollkeeper::sandbox::Sandbox;

use super::client::{PRICE, STRIPE_KEY, World};

async fn get(world: &World, id: &str) -> Value {
    world
        .stripe(Method::GET, &format!("/v1/subscriptions/{id}"), &[])
        .await
        .body
}

/// Of the only item.
fn period(subscription: &Value) -> (i64, i64) {
    let item = &subscription["items"]["data"][0];
    let bound = |name: &str| item[name].as_i64().unwrap();
    (bound("current_period_start"), bound("current_period_end"))
}

/// The types of the events since that many.
fn types_since(sandbox: &Sandbox, count: usize) -> Vec<&'static str> {
    sandbox.events()[count..]
        .iter()
        .map(|event| event.event_type)
        .collect()
}

#[tokio::test]
async fn the_requests_version_decides_the_shape() {
    let world = World::start().await;
    let id = world.subscription().await;
    let url = format!("{}/v1/subscriptions/{id}", world.sandbox.stripe_base());
    let get = async |version: &str| -> Value {
        let request = world
            .http
            .get(&url)
            .bearer_auth(STRIPE_KEY)
            .header("Stripe-Version", version);
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
    };

    let old = get("2025-02-24.acacia").await;
    let new = get("2026-10-28.endive").await;

    assert!(
        old["current_period_end"].is_i64()
            && old["items"]["data"][0].get("current_period_end").is_none()
    );
    assert!(
        new.get("current_period_end").is_none()
            && new["items"]["data"][0]["current_period_end"].is_i64()
    );
    assert_eq!(old["plan"]["id"], PRICE);
    assert!(new.get("plan").is_none());
}

#[tokio::test]
async fn a_period_follows_the_other_and_its_invoice_is_a_draft_for_an_hour() {
    let world = World::start().await;
    let id = world.subscription().await;
    let (_, first_end) = period(&get(&world, &id).await);
    let before = world.sandbox.events().len();

    world.sandbox.advance(TimeDelta::days(31));
    let renewed = get(&world, &id).await;
    let invoice = renewed["latest_invoice"].as_str().unwrap();
    let draft = world
        .stripe(Method::GET, &format!("/v1/invoices/{invoice}"), &[])
        .await
        .body;

    assert_eq!(period(&renewed).0, first_end);
    assert_eq!(draft["billing_reason"], "subscription_cycle");
    assert_eq!(draft["period_end"], first_end);
    assert_eq!(draft["lines"]["data"][0]["period"]["start"], first_end);
    assert_eq!(draft["parent"]["subscription_details"]["subscription"], id);
    world.sandbox.advance(TimeDelta::hours(2));
    assert_eq!(
        types_since(&world.sandbox, before),
        [
            "invoice.upcoming",
            "invoice.created",
            "customer.subscription.updated",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
    );
}

#[tokio::test]
async fn a_renewal_names_what_it_changed() {
    let world = World::start().await;
    let id = world.subscription().await;
    let (start, end) = period(&get(&world, &id).await);

    world.sandbox.advance(TimeDelta::days(31));
    let filter = [("types[]", "customer.subscription.updated")];
    let events = world.stripe(Method::GET, "/v1/events", &filter).await.body;

    let data = &events["data"][0]["data"];
    let mut changed: Vec<&String> = data["previous_attributes"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    changed.sort();
    assert_eq!(changed, ["items", "latest_invoice"]);
    assert_eq!(period(&data["previous_attributes"]), (start, end));
}

#[tokio::test]
async fn a_trial_is_announced_ends_and_is_paid_for() {
    let world = World::start().await;
    let id = world.sign_up(Some(10));
    assert_eq!(get(&world, &id).await["status"], "trialing");
    let before = world.sandbox.events().len();

    world.sandbox.advance(TimeDelta::days(8));
    assert_eq!(
        types_since(&world.sandbox, before),
        ["customer.subscription.trial_will_end"]
    );
    world
        .sandbox
        .advance(TimeDelta::days(2) + TimeDelta::hours(2));

    assert_eq!(get(&world, &id).await["status"], "active");
    assert_eq!(
        types_since(&world.sandbox, before + 1),
        [
            "invoice.created",
            "customer.subscription.updated",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
    );
}

#[tokio::test]
async fn a_trial_nobody_pays_for_is_paused_and_can_be_resumed() {
    let world = World::start().await;
    let customer = world.stripe(Method::POST, "/v1/customers", &[]).await;
    let form = [
        ("customer", customer.body["id"].as_str().unwrap()),
        ("items[0][price]", PRICE),
        ("trial_period_days", "7"),
        (
            "trial_settings[end_behavior][missing_payment_method]",
            "pause",
        ),
    ];
    let made = world.stripe(Method::POST, "/v1/subscriptions", &form).await;
    let id = made.body["id"].as_str().unwrap();

    world.sandbox.advance(TimeDelta::days(7));
    assert_eq!(get(&world, id).await["status"], "paused");
    assert!(
        world
            .event_types()
            .contains(&"customer.subscription.paused")
    );
    let resumed = world
        .stripe(Method::POST, &format!("/v1/subscriptions/{id}/resume"), &[])
        .await;

    assert_eq!(resumed.body["status"], "active");
    assert_eq!(
        world.event_types().last(),
        Some(&"customer.subscription.resumed")
    );
}

#[tokio::test]
async fn a_cancellation_at_the_periods_end_ends_there_without_an_invoice() {
    let world = World::start().await;
    let id = world.subscription().await;
    let path = format!("/v1/subscriptions/{id}");

    let form = [("cancel_at_period_end", "true")];
    let scheduled = world.stripe(Method::POST, &path, &form).await.body;
    assert_eq!(scheduled["cancel_at"], period(&scheduled).1);
    assert_eq!(scheduled["status"], "active");
    let before = world.sandbox.events().len();
    world.sandbox.advance(TimeDelta::days(31));

    let ended = get(&world, &id).await;
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&"canceled".into(), &scheduled["cancel_at"])
    );
    assert_eq!(
        types_since(&world.sandbox, before),
        ["customer.subscription.deleted"]
    );
}

#[tokio::test]
async fn a_failed_renewal_is_past_due_until_payments_succeed_again() {
    let world = World::start().await;
    let id = world.subscription().await;
    let customer = get(&world, &id).await["customer"]
        .as_str()
        .unwrap()
        .to_owned();

    world.sandbox.let_payments_fail(&customer);
    world
        .sandbox
        .advance(TimeDelta::days(31) + TimeDelta::hours(2));
    assert_eq!(get(&world, &id).await["status"], "past_due");
    assert!(world.event_types().contains(&"invoice.payment_failed"));
    world.sandbox.let_payments_succeed(&customer);
    world.sandbox.advance(TimeDelta::days(31));
    assert_eq!(get(&world, &id).await["status"], "active");
}

#[tokio::test]
async fn a_price_changes_by_the_items_id_and_without_it_a_second_item_is_added() {
    let world = World::start().await;
    let id = world.subscription().await;
    let path = format!("/v1/subscriptions/{id}");
    world.sandbox.add_price("price_plus", 4900);
    let item = get(&world, &id).await["items"]["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", "price_plus"),
    ];
    let changed = world.stripe(Method::POST, &path, &form).await.body;
    assert_eq!(changed["items"]["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(changed["items"]["data"][0]["price"]["id"], "price_plus");
    let added = world
        .stripe(Method::POST, &path, &[("items[0][price]", PRICE)])
        .await
        .body;

    assert_eq!(added["items"]["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_deleted_customer_takes_its_subscriptions_along() {
    let world = World::start().await;
    let id = world.subscription().await;
    let customer = get(&world, &id).await["customer"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/customers/{customer}");

    let deleted = world.stripe(Method::DELETE, &path, &[]).await.body;

    assert_eq!(deleted["deleted"], true);
    assert_eq!(
        world.stripe(Method::GET, &path, &[]).await.body["deleted"],
        true
    );
    assert_eq!(get(&world, &id).await["status"], "canceled");
    let types = world.event_types();
    assert_eq!(
        types[types.len() - 2..],
        ["customer.subscription.deleted", "customer.deleted"]
    );
    let listed = world
        .stripe(Method::GET, "/v1/subscriptions", &[])
        .await
        .body;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(0));
    let all = world
        .stripe(Method::GET, "/v1/subscriptions", &[("status", "all")])
        .await
        .body;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_wrong_key_json_and_unknown_objects_are_refused_as_stripe_does() {
    let world = World::start().await;
    let url = format!("{}/v1/customers", world.sandbox.stripe_base());

    let wrong_key = world
        .http
        .get(&url)
        .bearer_auth("sk_live_wrong")
        .send()
        .await
        .unwrap();
    let json = world
        .http
        .post(&url)
        .bearer_auth(STRIPE_KEY)
        .json(&serde_json::json!({"email": "x"}));
    let json = json.send().await.unwrap();
    let missing = world
        .stripe(Method::GET, "/v1/subscriptions/sub_x", &[])
        .await;

    assert_eq!(
        (wrong_key.status().as_u16(), json.status().as_u16()),
        (401, 400)
    );
    assert!(wrong_key.headers().contains_key("request-id"));
    assert_eq!((missing.status, missing.code()), (404, "resource_missing"));
    assert_eq!(
        missing.body["error"]["message"],
        "No such subscription: 'sub_x'"
    );
}

#[tokio::test]
async fn an_unpaid_beginning_expires_within_a_day() {
    let world = World::start().await;
    let customer = world.stripe(Method::POST, "/v1/customers", &[]).await;
    let form = [
        ("customer", customer.body["id"].as_str().unwrap()),
        ("items[0][price]", PRICE),
        ("payment_behavior", "default_incomplete"),
    ];
    let made = world
        .stripe(Method::POST, "/v1/subscriptions", &form)
        .await
        .body;
    let id = made["id"].as_str().unwrap();

    assert_eq!(made["status"], "incomplete");
    world.sandbox.advance(TimeDelta::hours(23));
    assert_eq!(get(&world, id).await["status"], "incomplete_expired");
}

#[tokio::test]
async fn figures_beyond_all_bounds_are_refused_or_capped_and_the_sandbox_lives_on() {
    let world = World::start().await;
    let customer = world.stripe(Method::POST, "/v1/customers", &[]).await;
    let customer = customer.body["id"].as_str().unwrap();
    let max = i64::MAX.to_string();

    for (name, status) in [
        ("trial_end", 400),
        ("trial_period_days", 400),
        ("items[0][quantity]", 200),
    ] {
        let form = [
            ("customer", customer),
            ("items[0][price]", PRICE),
            (name, &max),
        ];
        assert_eq!(
            world
                .stripe(Method::POST, "/v1/subscriptions", &form)
                .await
                .status,
            status,
            "{name}"
        );
    }

    assert_eq!(
        world.stripe(Method::GET, "/v1/prices", &[]).await.status,
        200
    );
}

#[tokio::test]
async fn a_first_payment_that_fails_leaves_the_subscription_incomplete() {
    let world = World::start().await;
    let customer = world.stripe(Method::POST, "/v1/customers", &[]).await;
    let customer = customer.body["id"].as_str().unwrap();
    world.sandbox.let_payments_fail(customer);

    let form = [("customer", customer), ("items[0][price]", PRICE)];
    let made = world
        .stripe(Method::POST, "/v1/subscriptions", &form)
        .await
        .body;

    assert_eq!(made["status"], "incomplete");
    assert_eq!(
        world.event_types(),
        [
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.payment_failed",
        ]
    );
}
