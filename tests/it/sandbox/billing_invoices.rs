//! Invoices written by hand, and the states of every invoice.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use super::client::{World, id, ids};

const INVOICES: &str = "/v1/invoices";

#[tokio::test]
async fn an_own_draft_is_empty_and_waits_for_ever() {
    let world = World::start().await;
    let customer = world.customer().await;
    let form = [("customer", customer.as_str()), ("amount", "700")];
    world.make("/v1/invoiceitems", &form).await;

    let draft = world.make(INVOICES, &[("customer", &customer)]).await;
    world.sandbox.advance(TimeDelta::days(300));

    assert_eq!(
        draft["total"], 0,
        "pending items are left out unless asked for"
    );
    let after = world.invoice(&id(&draft)).await;
    assert_eq!(
        (&after["status"], &after["auto_advance"]),
        (&json!("draft"), &json!(false))
    );
    assert_eq!(after["automatically_finalizes_at"], json!(null));
    assert_eq!(
        (&after["number"], &after["billing_reason"]),
        (&json!(null), &json!("manual"))
    );
}

#[tokio::test]
async fn an_own_draft_takes_pending_items_along_when_asked_to() {
    let world = World::start().await;
    let customer = world.customer().await;
    let form = [("customer", customer.as_str()), ("amount", "700")];
    world.make("/v1/invoiceitems", &form).await;

    let form = [
        ("customer", customer.as_str()),
        ("pending_invoice_items_behavior", "include"),
    ];
    let draft = world.make(INVOICES, &form).await;

    assert_eq!(draft["total"], 700);
}

#[tokio::test]
async fn an_own_draft_that_advances_is_finalized_after_an_hour_and_paid() {
    let world = World::start().await;
    let customer = world.customer().await;
    let form = [("customer", customer.as_str()), ("auto_advance", "true")];
    let draft = world.make(INVOICES, &form).await;
    world.item(&customer, &id(&draft), 900).await;
    let created = draft["created"].as_i64().unwrap();
    assert_eq!(draft["automatically_finalizes_at"], created + 3600);

    world.sandbox.advance(TimeDelta::minutes(59));
    assert_eq!(world.invoice(&id(&draft)).await["status"], "draft");
    world.sandbox.advance(TimeDelta::minutes(1));

    let paid = world.invoice(&id(&draft)).await;
    assert_eq!(
        (&paid["status"], &paid["amount_paid"]),
        (&json!("paid"), &json!(900))
    );
    assert_eq!(paid["automatically_finalizes_at"], json!(null));
}

#[tokio::test]
async fn a_finalized_invoice_has_a_number_of_its_customers_and_is_collected_when_asked() {
    let world = World::start().await;
    let customer = world.customer().await;
    let first = world.open_invoice(&customer, 900).await;
    let second = world.draft(&customer).await;
    world.item(&customer, &second, 800).await;
    let before = world.sandbox.events().len();

    let path = format!("{INVOICES}/{second}/finalize");
    let open = world.make(&path, &[("auto_advance", "true")]).await;

    assert_eq!(open["status"], "open");
    assert!(open["hosted_invoice_url"].is_string());
    assert_eq!(world.invoice(&second).await["status"], "paid");
    assert_eq!(
        world.types_since(before),
        [
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded"
        ]
    );
    let first = world.invoice(&first).await;
    assert_eq!(
        (&first["status"], &first["attempted"]),
        (&json!("open"), &json!(false))
    );
    let number = first["number"].as_str().unwrap();
    assert!(number.ends_with("-0001"), "{number}");
    assert_eq!(open["number"], number.replace("-0001", "-0002"));
}

#[tokio::test]
async fn an_invoice_is_finalized_once() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 900).await;

    let again = world
        .refusal(&format!("{INVOICES}/{invoice}/finalize"), &[])
        .await;

    let message = "This invoice is already finalized, you can't re-finalize a non-draft invoice.";
    assert_eq!(again, (400, message.to_owned()));
}

#[tokio::test]
async fn a_draft_can_be_deleted_and_nothing_else() {
    let world = World::start().await;
    let customer = world.customer().await;
    let draft = world.draft(&customer).await;
    let item = world.item(&customer, &draft, 900).await;
    let open = world.open_invoice(&customer, 900).await;

    let deleted = world
        .stripe(Method::DELETE, &format!("{INVOICES}/{draft}"), &[])
        .await;
    let refused = world
        .stripe(Method::DELETE, &format!("{INVOICES}/{open}"), &[])
        .await;

    assert_eq!(
        (deleted.status, &deleted.body["deleted"]),
        (200, &json!(true))
    );
    assert_eq!(refused.status, 400);
    assert_eq!(
        world
            .stripe(Method::GET, &format!("{INVOICES}/{draft}"), &[])
            .await
            .status,
        404
    );
    assert_eq!(
        ids(&world.look(INVOICES, &[("customer", &customer)]).await),
        [open]
    );
    assert_eq!(world.event_types().last(), Some(&"invoice.deleted"));
    let form = [
        ("customer", customer.as_str()),
        ("pending_invoice_items_behavior", "include"),
    ];
    assert_eq!(
        world.make(INVOICES, &form).await["total"],
        0,
        "the item {item} went with its invoice"
    );
}

#[tokio::test]
async fn an_open_invoice_is_voided_or_marked_and_a_paid_one_is_not() {
    let world = World::start().await;
    let customer = world.customer().await;
    let act = async |invoice: &str, what: &str| {
        let path = format!("{INVOICES}/{invoice}/{what}");
        world.stripe(Method::POST, &path, &[]).await.status
    };
    let [voided, marked, paid] = [
        world.open_invoice(&customer, 900).await,
        world.open_invoice(&customer, 900).await,
        world.open_invoice(&customer, 900).await,
    ];
    let draft = world.draft(&customer).await;
    let before = world.sandbox.events().len();

    assert_eq!(act(&voided, "void").await, 200);
    assert_eq!(act(&marked, "mark_uncollectible").await, 200);
    assert_eq!(act(&paid, "pay").await, 200);
    assert_eq!(
        world.types_since(before),
        [
            "invoice.voided",
            "invoice.marked_uncollectible",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
    );
    for (invoice, what) in [
        (&voided, "void"),
        (&voided, "pay"),
        (&marked, "mark_uncollectible"),
        (&paid, "void"),
        (&paid, "pay"),
        (&paid, "mark_uncollectible"),
        (&draft, "void"),
        (&draft, "mark_uncollectible"),
    ] {
        assert_eq!(act(invoice, what).await, 400, "{what}");
    }
    let status = async |id: &str| world.invoice(id).await["status"].clone();
    assert_eq!(status(&voided).await, "void");
    assert_eq!(status(&marked).await, "uncollectible");
    assert_eq!(
        act(&marked, "pay").await,
        200,
        "what was written off may still be paid"
    );
}

#[tokio::test]
async fn metadata_changes_at_any_time_and_is_told_of() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 900).await;
    let path = format!("{INVOICES}/{invoice}");

    let changed = world.make(&path, &[("metadata[run]", "7")]).await;

    assert_eq!(changed["metadata"], json!({"run": "7"}));
    let events = world
        .look("/v1/events", &[("type", "invoice.updated"), ("limit", "1")])
        .await;
    assert_eq!(
        events["data"][0]["data"]["previous_attributes"],
        json!({"metadata": {}})
    );
    assert_eq!(world.refusal(&path, &[("description", "x")]).await.0, 400);
}

#[tokio::test]
async fn invoices_are_found_by_customer_subscription_status_and_age() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    let subscription = &draft["parent"]["subscription_details"]["subscription"];
    world.sandbox.advance(TimeDelta::minutes(1));
    let since = world.sandbox.now().timestamp().to_string();
    let own = world.draft(&customer).await;
    let other = world.customer().await;
    world.draft(&other).await;
    let list = async |query: &[(&str, &str)]| ids(&world.look(INVOICES, query).await);

    let by_subscription = [("subscription", subscription.as_str().unwrap())];
    assert_eq!(list(&by_subscription).await.len(), 2);
    assert_eq!(list(&[("customer", &customer)]).await.len(), 3);
    let drafts = [("customer", customer.as_str()), ("status", "draft")];
    assert_eq!(list(&drafts).await, [own.clone(), id(&draft)]);
    let young = [("customer", customer.as_str()), ("created[gte]", &since)];
    assert_eq!(list(&young).await, [own]);
    let wrong = world
        .stripe(Method::GET, INVOICES, &[("status", "late")])
        .await;
    assert_eq!(wrong.status, 400);
}
