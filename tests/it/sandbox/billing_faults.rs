//! Billing calls that go wrong: before the effect, after it, late, and with a key that is too old.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use tollkeeper::sandbox::{Fault, Provider, Rule, When};

use super::client::{World, id, ids};

const ITEMS: &str = "/v1/invoiceitems";

async fn count(world: &World, invoice: &str) -> usize {
    ids(&world.look(ITEMS, &[("invoice", invoice)]).await).len()
}

fn first(path: &str, fault: Fault) -> Vec<Rule> {
    vec![Rule::on(
        Provider::Stripe,
        "POST",
        path,
        When::Nth(1),
        fault,
    )]
}

#[tokio::test]
async fn an_item_whose_answer_went_wrong_is_there_once_for_its_key_and_twice_without() {
    for (fault, made_at_first) in [
        (Fault::CutBeforeEffect, 0),
        (Fault::CutAfterEffect, 1),
        (Fault::ErrorBefore { status: 503 }, 0),
        (
            Fault::TooManyRequests {
                retry_after_seconds: None,
            },
            0,
        ),
    ] {
        for key in [Some("k1"), None] {
            let world = World::start().await;
            let customer = world.customer().await;
            let invoice = world.draft(&customer).await;
            let form = [
                ("customer", customer.as_str()),
                ("invoice", &invoice),
                ("amount", "100"),
            ];
            world.sandbox.add_rules(first(ITEMS, fault.clone()));

            let _ = world.try_stripe(Method::POST, ITEMS, &form, key).await;
            assert_eq!(count(&world, &invoice).await, made_at_first, "{fault:?}");
            let again = world.try_stripe(Method::POST, ITEMS, &form, key).await;

            assert_eq!(again.unwrap().status, 200);
            let expected = if key.is_some() { 1 } else { 1 + made_at_first };
            assert_eq!(count(&world, &invoice).await, expected, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_500_after_the_effect_is_kept_for_a_day_and_then_the_item_is_made_again() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.draft(&customer).await;
    let form = [
        ("customer", customer.as_str()),
        ("invoice", &invoice),
        ("amount", "100"),
    ];
    world
        .sandbox
        .add_rules(first(ITEMS, Fault::ErrorAfter { status: 500 }));

    assert_eq!(world.stripe_keyed(ITEMS, &form, "k1").await.status, 500);
    world.sandbox.advance(TimeDelta::hours(23));
    assert_eq!(world.stripe_keyed(ITEMS, &form, "k1").await.status, 500);
    assert_eq!(count(&world, &invoice).await, 1);
    world.sandbox.advance(TimeDelta::hours(1));

    assert_eq!(world.stripe_keyed(ITEMS, &form, "k1").await.status, 200);
    assert_eq!(count(&world, &invoice).await, 2);
}

#[tokio::test]
async fn an_item_that_comes_late_finds_its_invoice_finalized() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    let invoice = id(&draft);
    let form = [
        ("customer", customer.as_str()),
        ("invoice", &invoice),
        ("amount", "100"),
    ];
    let delay = Duration::from_secs(2 * 60 * 60);
    world
        .sandbox
        .add_rules(first(ITEMS, Fault::LateExecution { delay }));

    let cut = world
        .try_stripe(Method::POST, ITEMS, &form, Some("k1"))
        .await;
    assert!(cut.is_err());
    world.sandbox.advance(TimeDelta::hours(3));

    assert_eq!(count(&world, &invoice).await, 0);
    assert_eq!(world.invoice(&invoice).await["amount_paid"], 2900);
}

#[tokio::test]
async fn an_invoice_that_was_finalized_behind_a_cut_is_finalized_once() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.draft(&customer).await;
    world.item(&customer, &invoice, 900).await;
    let path = format!("/v1/invoices/{invoice}/finalize");
    let form = [("auto_advance", "true")];
    world
        .sandbox
        .add_rules(first("/finalize", Fault::CutAfterEffect));
    let before = world.sandbox.events().len();

    let cut = world
        .try_stripe(Method::POST, &path, &form, Some("k1"))
        .await;
    let again = world.stripe_keyed(&path, &form, "k1").await;

    assert!(cut.is_err());
    assert_eq!((again.status, again.is_replayed), (200, true));
    assert_eq!(
        world.types_since(before),
        [
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded"
        ]
    );
}
