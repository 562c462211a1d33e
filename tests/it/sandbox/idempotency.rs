//! Stripe's idempotency keys.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use tollkeeper::sandbox::{Effect, Fault, Provider, Rule, When};

use super::client::{World, until};

const PATH: &str = "/v1/customers";
const ZOE: [(&str, &str); 1] = [("email", "zoe@example.com")];
const MAX: [(&str, &str); 1] = [("email", "max@example.com")];

fn on_customers(fault: Fault) -> Vec<Rule> {
    vec![Rule::on(
        Provider::Stripe,
        "POST",
        "/v1/customers",
        When::Nth(1),
        fault,
    )]
}

async fn customer_count(world: &World) -> usize {
    let list = world.stripe(Method::GET, PATH, &[]).await;
    list.body["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_key_gets_the_first_answer_again() {
    let world = World::start().await;

    let first = world.stripe_keyed(PATH, &ZOE, "k1").await;
    let second = world.stripe_keyed(PATH, &ZOE, "k1").await;

    assert_eq!((first.status, first.is_replayed), (200, false));
    assert_eq!((second.status, second.is_replayed), (200, true));
    assert_eq!(first.body, second.body);
    assert_eq!(customer_count(&world).await, 1);
    let effects: Vec<Effect> = world
        .sandbox
        .calls()
        .iter()
        .map(|call| call.effect)
        .collect();
    assert_eq!(effects, [Effect::Done, Effect::Replayed, Effect::Nothing]);
}

#[tokio::test]
async fn a_500_is_kept_under_its_key_and_replayed() {
    for (fault, customers) in [
        (Fault::ErrorBefore { status: 500 }, 0),
        (Fault::ErrorAfter { status: 500 }, 1),
    ] {
        let world = World::start().await;
        world.sandbox.add_rules(on_customers(fault));

        let first = world.stripe_keyed(PATH, &ZOE, "k1").await;
        let second = world.stripe_keyed(PATH, &ZOE, "k1").await;

        assert_eq!((first.status, first.is_replayed), (500, false));
        assert_eq!((second.status, second.is_replayed), (500, true));
        assert_eq!(customer_count(&world).await, customers);
    }
}

#[tokio::test]
async fn the_same_key_with_other_parameters_is_refused() {
    let world = World::start().await;

    world.stripe_keyed(PATH, &ZOE, "k1").await;
    let other = world.stripe_keyed(PATH, &MAX, "k1").await;

    assert_eq!(other.status, 400);
    assert_eq!(other.body["error"]["type"], "idempotency_error");
    assert_eq!(customer_count(&world).await, 1);
}

#[tokio::test]
async fn a_key_whose_first_request_is_in_progress_is_refused_with_409() {
    let world = World::start().await;
    let by = Duration::from_secs(1);
    world.sandbox.add_rules(on_customers(Fault::Latency { by }));

    let first = world.stripe_keyed(PATH, &ZOE, "k1");
    let second = async {
        until(|| !world.sandbox.calls().is_empty()).await;
        world.stripe_keyed(PATH, &ZOE, "k1").await
    };
    let (first, second) = tokio::join!(first, second);

    assert_eq!(first.status, 200);
    assert_eq!(
        (second.status, second.code()),
        (409, "idempotency_key_in_use")
    );
    assert_eq!(customer_count(&world).await, 1);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day_and_not_before() {
    let world = World::start().await;

    let first = world.stripe_keyed(PATH, &ZOE, "k1").await;
    world.sandbox.advance(TimeDelta::hours(23));
    let within = world.stripe_keyed(PATH, &ZOE, "k1").await;
    world.sandbox.advance(TimeDelta::hours(1));
    let after = world.stripe_keyed(PATH, &ZOE, "k1").await;

    assert_eq!(within.body["id"], first.body["id"]);
    assert_ne!(after.body["id"], first.body["id"]);
    assert_eq!(customer_count(&world).await, 2);
}

#[tokio::test]
async fn a_request_that_fails_validation_leaves_its_key_free() {
    let world = World::start().await;

    let invalid = world.stripe_keyed("/v1/subscriptions", &[], "k1").await;
    let valid = world.stripe_keyed(PATH, &ZOE, "k1").await;

    assert_eq!((invalid.status, invalid.code()), (400, "parameter_missing"));
    assert_eq!((valid.status, valid.is_replayed), (200, false));
}

#[tokio::test]
async fn a_late_request_finds_its_key_used_and_does_nothing_more() {
    for (key, customers) in [(Some("k1"), 1), (None, 2)] {
        let world = World::start().await;
        let delay = Duration::from_secs(60);
        world
            .sandbox
            .add_rules(on_customers(Fault::LateExecution { delay }));

        let cut = world.try_stripe(Method::POST, PATH, &ZOE, key).await;
        let repeated = world
            .try_stripe(Method::POST, PATH, &ZOE, key)
            .await
            .unwrap();
        world.sandbox.advance(TimeDelta::seconds(60));

        assert!(cut.is_err());
        assert_eq!((repeated.status, repeated.is_replayed), (200, false));
        assert_eq!(customer_count(&world).await, customers);
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_replayed() {
    let world = World::start().await;
    world.sandbox.add_rules(on_customers(Fault::CutAfterEffect));

    let cut = world.try_stripe(Method::POST, PATH, &ZOE, Some("k1")).await;
    let repeated = world.stripe_keyed(PATH, &ZOE, "k1").await;

    assert!(cut.is_err());
    assert_eq!((repeated.status, repeated.is_replayed), (200, true));
    assert_eq!(customer_count(&world).await, 1);
}
