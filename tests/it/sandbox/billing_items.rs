//! Invoice items and lines: what is put on an invoice, and until when.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{PRICE, STRIPE_KEY, World, id, ids};

const ITEMS: &str = "/v1/invoiceitems";

#[tokio::test]
async fn an_item_on_a_renewals_draft_is_a_line_of_it_and_is_paid_with_it() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    let invoice = id(&draft);

    let form = [
        ("customer", customer.as_str()),
        ("invoice", &invoice),
        ("amount", "123"),
        ("currency", "usd"),
        ("description", "12 minutes above 500"),
        ("period[start]", "1000"),
        ("period[end]", "2000"),
        ("metadata[charge_id]", "c1"),
    ];
    let item = world.make(ITEMS, &form).await;
    world.sandbox.advance(TimeDelta::hours(2));
    let paid = world.invoice(&invoice).await;

    let line = &paid["lines"]["data"][1];
    assert_eq!(line["amount"], 123);
    assert_eq!(line["description"], "12 minutes above 500");
    assert_eq!(line["period"], json!({"start": 1000, "end": 2000}));
    assert_eq!(line["metadata"], json!({"charge_id": "c1"}));
    assert_eq!(
        line["parent"]["invoice_item_details"]["invoice_item"],
        item["id"]
    );
    assert_eq!(paid["status"], "paid");
    assert_eq!(
        (&paid["total"], &paid["amount_paid"]),
        (&json!(3023), &json!(3023))
    );
}

#[tokio::test]
async fn a_pending_item_comes_along_with_the_next_renewal() {
    let world = World::start().await;
    let subscription = world.subscription().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let customer = world.look(&path, &[]).await["customer"].clone();
    let customer = customer.as_str().unwrap();
    let form = [
        ("customer", customer),
        ("amount", "-100"),
        ("currency", "usd"),
    ];
    let item = world.make(ITEMS, &form).await;
    let pending = [("customer", customer), ("pending", "true")];
    assert_eq!(ids(&world.look(ITEMS, &pending).await), [id(&item)]);

    world.sandbox.advance(TimeDelta::days(31));

    let latest = world.look(&path, &[]).await["latest_invoice"].clone();
    let draft = world.invoice(latest.as_str().unwrap()).await;
    assert_eq!(draft["total"], 2800);
    assert!(ids(&world.look(ITEMS, &pending).await).is_empty());
    let on_it = [("invoice", latest.as_str().unwrap())];
    assert_eq!(ids(&world.look(ITEMS, &on_it).await), [id(&item)]);
}

#[tokio::test]
async fn a_pending_item_of_another_subscription_waits_for_that_one() {
    let world = World::start().await;
    let customer = world.customer().await;
    let form = [("customer", customer.as_str()), ("items[0][price]", PRICE)];
    let first = id(&world.make("/v1/subscriptions", &form).await);
    world.sandbox.advance(TimeDelta::days(1));
    let second = id(&world.make("/v1/subscriptions", &form).await);
    let form = [
        ("customer", customer.as_str()),
        ("subscription", &second),
        ("amount", "100"),
    ];
    let item = id(&world.make(ITEMS, &form).await);

    world.sandbox.advance(TimeDelta::days(32));

    let item = world.look(&format!("{ITEMS}/{item}"), &[]).await;
    let invoice = world.invoice(item["invoice"].as_str().unwrap()).await;
    let parent = &invoice["parent"]["subscription_details"]["subscription"];
    assert_eq!(
        (parent, &invoice["billing_reason"]),
        (&json!(second), &json!("subscription_cycle"))
    );
    assert_ne!(first, second);
}

#[tokio::test]
async fn an_item_can_be_taken_off_a_draft_and_never_off_a_finalized_invoice() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    let invoice = id(&draft);
    let first = world.item(&customer, &invoice, 100).await;
    let second = world.item(&customer, &invoice, 200).await;

    let path = format!("{ITEMS}/{first}");
    let deleted = world.stripe(Method::DELETE, &path, &[]).await;
    assert_eq!(deleted.body["deleted"], true);
    assert_eq!(world.stripe(Method::GET, &path, &[]).await.status, 404);
    assert_eq!(world.invoice(&invoice).await["total"], 3100);
    world.sandbox.advance(TimeDelta::hours(1));

    let path = format!("{ITEMS}/{second}");
    let refused = world.stripe(Method::DELETE, &path, &[]).await;
    assert_eq!(
        (refused.status, refused.code()),
        (400, "invoice_not_editable")
    );
    let form = [
        ("customer", customer.as_str()),
        ("invoice", &invoice),
        ("amount", "5"),
    ];
    assert_eq!(
        world.refusal(ITEMS, &form).await,
        (400, "invoice_not_editable".to_owned())
    );
    assert_eq!(world.invoice(&invoice).await["total"], 3100);
}

#[tokio::test]
async fn what_is_wrong_with_an_item_is_said_and_nothing_is_made() {
    let world = World::start().await;
    let customer = world.customer().await;
    let other = world.customer().await;
    let invoice = world.draft(&customer).await;
    let long = "x".repeat(501);
    let base = [("customer", customer.as_str()), ("invoice", &invoice)];

    for (form, code) in [
        (vec![("amount", "1")], "parameter_missing"),
        ([&base[..], &[]].concat(), "parameter_missing"),
        (
            [&base[..], &[("amount", "1.5")]].concat(),
            "parameter_invalid_integer",
        ),
        (
            [&base[..], &[("amount", "100000000")]].concat(),
            "amount_too_large",
        ),
        (
            [&base[..], &[("amount", "1"), ("currency", "dollars")]].concat(),
            "parameter_invalid",
        ),
        (
            [&base[..], &[("amount", "1"), ("currency", "eur")]].concat(),
            "parameter_invalid",
        ),
        (
            [&base[..], &[("amount", "1"), ("quantity", "2")]].concat(),
            "parameter_invalid",
        ),
        (
            [&base[..], &[("amount", "1"), ("period[start]", "5")]].concat(),
            "parameter_missing",
        ),
        (
            [
                &base[..],
                &[
                    ("amount", "1"),
                    ("period[start]", "5"),
                    ("period[end]", "4"),
                ],
            ]
            .concat(),
            "parameter_invalid",
        ),
        (
            [&base[..], &[("amount", "1"), ("metadata[a]", &long)]].concat(),
            "parameter_invalid",
        ),
        (
            [&base[..], &[("amount", "1"), ("ammount", "1")]].concat(),
            "parameter_unknown",
        ),
        (
            vec![("customer", &other), ("invoice", &invoice), ("amount", "1")],
            "parameter_invalid",
        ),
        (
            vec![
                ("customer", &customer),
                ("invoice", "in_x"),
                ("amount", "1"),
            ],
            "resource_missing",
        ),
    ] {
        assert_eq!(
            world.refusal(ITEMS, &form).await,
            (400, code.to_owned()),
            "{form:?}"
        );
    }

    assert!(ids(&world.look(ITEMS, &[]).await).is_empty());
}

#[tokio::test]
async fn a_decimal_price_is_rounded_half_up_on_its_line() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.draft(&customer).await;
    let form = [
        ("customer", customer.as_str()),
        ("invoice", &invoice),
        ("unit_amount_decimal", "0.05"),
        ("quantity", "30"),
    ];

    let item = world.make(ITEMS, &form).await;

    assert_eq!(
        (&item["amount"], &item["quantity"]),
        (&json!(2), &json!(30))
    );
    assert_eq!(item["pricing"]["unit_amount_decimal"], "0.05");
}

#[tokio::test]
async fn items_and_lines_are_listed_page_by_page() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.draft(&customer).await;
    let mut made = Vec::new();
    for amount in 1..=12 {
        made.push(world.item(&customer, &invoice, amount).await);
    }
    let newest_first: Vec<String> = made.iter().rev().cloned().collect();

    let query = [("invoice", invoice.as_str()), ("limit", "5")];
    let page = world.look(ITEMS, &query).await;
    assert_eq!(
        (ids(&page), &page["has_more"]),
        (newest_first[..5].to_vec(), &json!(true))
    );
    let after = [
        ("invoice", invoice.as_str()),
        ("starting_after", &newest_first[4]),
    ];
    let rest = world.look(ITEMS, &after).await;
    assert_eq!(
        (ids(&rest), &rest["has_more"]),
        (newest_first[5..].to_vec(), &json!(false))
    );

    let whole = world.invoice(&invoice).await;
    assert_eq!(ids(&whole["lines"]).len(), 10);
    assert_eq!(whole["lines"]["has_more"], true);
    let path = format!("/v1/invoices/{invoice}/lines");
    let last = ids(&whole["lines"]).pop().unwrap();
    let rest = world.look(&path, &[("starting_after", &last)]).await;
    let amounts = |list: &Value| -> Vec<i64> {
        let rows = list["data"].as_array().unwrap();
        rows.iter()
            .map(|row| row["amount"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(
        (amounts(&rest), &rest["has_more"]),
        (vec![11, 12], &json!(false))
    );
    assert_eq!(amounts(&whole["lines"]), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn items_are_filtered_by_their_age() {
    let world = World::start().await;
    let customer = world.customer().await;
    let form = [("customer", customer.as_str()), ("amount", "1")];
    world.make(ITEMS, &form).await;
    world.sandbox.advance(TimeDelta::days(1));
    let since = world.sandbox.now().timestamp().to_string();
    let young = id(&world.make(ITEMS, &form).await);

    let query = [("customer", customer.as_str()), ("created[gte]", &since)];

    assert_eq!(ids(&world.look(ITEMS, &query).await), [young]);
}

#[tokio::test]
async fn an_invoice_has_at_most_250_items() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.draft(&customer).await;
    for _ in 0..250 {
        world.item(&customer, &invoice, 1).await;
    }

    let form = [
        ("customer", customer.as_str()),
        ("invoice", &invoice),
        ("amount", "1"),
    ];
    assert_eq!(world.refusal(ITEMS, &form).await.0, 400);
    assert_eq!(world.invoice(&invoice).await["total"], 250);
}

#[tokio::test]
async fn lines_have_the_shape_of_the_version_asked_for() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    let item = world.item(&customer, &id(&draft), 100).await;
    let path = format!("/v1/invoices/{}", id(&draft));
    let request = world
        .http
        .get(format!("{}{path}", world.sandbox.stripe_base()))
        .bearer_auth(STRIPE_KEY)
        .header("Stripe-Version", "2025-02-24.acacia");
    let bytes = request.send().await.unwrap().bytes().await.unwrap();
    let old: Value = serde_json::from_slice(&bytes).unwrap();
    let new = world.invoice(&id(&draft)).await;

    let (of_plan, of_item) = (&old["lines"]["data"][0], &old["lines"]["data"][1]);
    assert_eq!(
        (&of_plan["type"], &of_plan["price"]["id"]),
        (&json!("subscription"), &json!(PRICE))
    );
    assert_eq!(
        (&of_item["type"], &of_item["invoice_item"]),
        (&json!("invoiceitem"), &json!(item))
    );
    let (of_plan, of_item) = (&new["lines"]["data"][0], &new["lines"]["data"][1]);
    assert_eq!(of_plan["parent"]["type"], "subscription_item_details");
    assert_eq!(of_plan["pricing"]["price_details"]["price"], PRICE);
    assert_eq!(of_item["parent"]["type"], "invoice_item_details");
    assert!(of_item.get("type").is_none());
}
