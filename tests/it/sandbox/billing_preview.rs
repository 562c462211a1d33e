//! Previews: what the next invoice will be, and what a change would cost. They say what then happens.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{PRICE, STRIPE_KEY, World, text};

const PREVIEW: &str = "/v1/invoices/create_preview";
const PLUS: &str = "price_plus";

/// Ten days into a subscription's first month: its id, its item's and its customer's.
async fn ten_days_in(world: &World) -> (String, String, String) {
    world.sandbox.add_price(PLUS, 9900);
    let id = world.subscription().await;
    let subscription = world.look(&format!("/v1/subscriptions/{id}"), &[]).await;
    world.sandbox.advance(TimeDelta::days(10));
    let item = text(&subscription["items"]["data"][0]["id"]);
    (id, item, text(&subscription["customer"]))
}

fn lines(invoice: &Value) -> Vec<(i64, Value)> {
    let lines = invoice["lines"]["data"].as_array().unwrap().iter();
    let mut lines: Vec<(i64, Value)> = lines
        .map(|line| (line["amount"].as_i64().unwrap(), line["period"].clone()))
        .collect();
    lines.sort_by_key(|(amount, _)| *amount);
    lines
}

#[tokio::test]
async fn a_preview_of_a_change_is_what_the_change_then_costs() {
    for behavior in ["create_prorations", "always_invoice"] {
        let world = World::start().await;
        let (id, item, customer) = ten_days_in(&world).await;
        let date = world.sandbox.now().timestamp().to_string();
        let form = [
            ("customer", customer.as_str()),
            ("subscription", &id),
            ("subscription_details[items][0][id]", &item),
            ("subscription_details[items][0][price]", PLUS),
            ("subscription_details[proration_date]", &date),
            ("subscription_details[proration_behavior]", behavior),
        ];
        let preview = world.make(PREVIEW, &form).await;

        let form = [
            ("items[0][id]", item.as_str()),
            ("items[0][price]", PLUS),
            ("proration_date", &date),
            ("proration_behavior", behavior),
        ];
        let path = format!("/v1/subscriptions/{id}");
        let changed = world.make(&path, &form).await;
        if behavior == "create_prorations" {
            let end = &changed["items"]["data"][0]["current_period_end"];
            let rest = end.as_i64().unwrap() - world.sandbox.now().timestamp();
            world.sandbox.advance(TimeDelta::seconds(rest));
        }

        let latest = world.look(&path, &[]).await["latest_invoice"].clone();
        let invoice = world.invoice(latest.as_str().unwrap()).await;
        assert_eq!(preview["total"], invoice["total"], "{behavior}");
        assert_eq!(lines(&preview), lines(&invoice), "{behavior}");
        assert!(preview["id"].as_str().unwrap().starts_with("upcoming_in_"));
    }
}

#[tokio::test]
async fn a_preview_without_a_change_is_the_next_renewal_with_what_is_pending() {
    let world = World::start().await;
    let (id, _, customer) = ten_days_in(&world).await;
    let form = [("customer", customer.as_str()), ("amount", "250")];
    world.make("/v1/invoiceitems", &form).await;

    let by_customer = world.make(PREVIEW, &[("customer", &customer)]).await;
    let by_subscription = world.make(PREVIEW, &[("subscription", &id)]).await;

    assert_eq!(by_customer["total"], 2900 + 250);
    assert_eq!(lines(&by_customer), lines(&by_subscription));
    assert_eq!(by_customer["billing_reason"], "upcoming");
}

#[tokio::test]
async fn a_preview_changes_nothing() {
    let world = World::start().await;
    let (id, item, _) = ten_days_in(&world).await;
    let before = world.sandbox.events().len();
    let form = [
        ("subscription", id.as_str()),
        ("subscription_details[items][0][id]", &item),
        ("subscription_details[items][0][price]", PLUS),
    ];

    world.make(PREVIEW, &form).await;

    assert!(world.types_since(before).is_empty());
    let subscription = world.look(&format!("/v1/subscriptions/{id}"), &[]).await;
    assert_eq!(subscription["items"]["data"][0]["price"]["id"], PRICE);
}

#[tokio::test]
async fn where_nothing_comes_next_there_is_no_preview() {
    let world = World::start().await;
    let (id, _, customer) = ten_days_in(&world).await;
    let path = format!("/v1/subscriptions/{id}");
    world.make(&path, &[("cancel_at_period_end", "true")]).await;

    let ending = world.refusal(PREVIEW, &[("subscription", &id)]).await;
    world.stripe(Method::DELETE, &path, &[]).await;
    let ended = world.refusal(PREVIEW, &[("customer", &customer)]).await;

    let none = (404, "invoice_upcoming_none".to_owned());
    assert_eq!((ending, ended), (none.clone(), none));
    let outside = [
        ("subscription", id.as_str()),
        ("subscription_details[proration_date]", "1000"),
    ];
    assert_eq!(world.refusal(PREVIEW, &outside).await.0, 400);
}

#[tokio::test]
async fn the_old_version_has_the_upcoming_invoice_and_the_new_one_has_not() {
    let world = World::start().await;
    let (id, item, _) = ten_days_in(&world).await;
    let get = async |version: &str| -> Value {
        let request = world
            .http
            .get(format!(
                "{}/v1/invoices/upcoming",
                world.sandbox.stripe_base()
            ))
            .query(&[
                ("subscription", id.as_str()),
                ("subscription_items[0][id]", &item),
                ("subscription_items[0][price]", PLUS),
                ("subscription_proration_behavior", "none"),
            ])
            .bearer_auth(STRIPE_KEY)
            .header("Stripe-Version", version);
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
    };

    let old = get("2025-02-24.acacia").await;
    let new = get("2026-10-28.endive").await;

    assert_eq!(
        (&old["total"], &old["subscription"]),
        (&json!(9900), &json!(id))
    );
    assert!(old.get("id").is_none());
    assert_eq!(new["error"]["code"], "resource_missing");
}
