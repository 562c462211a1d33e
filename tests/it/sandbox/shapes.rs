//! The sandbox's objects against recorded webhooks: it may leave fields out, it must not make any up.

use chrono::TimeDelta;
use serde_json::Value;
use tollkeeper::sandbox::stripe::{ApiVersion, Status};

use super::client::{World, id};

/// The recording and the event type.
const RECORDINGS: [(&str, &str); 13] = [
    ("checkout.session.completed", "checkout.session.completed"),
    (
        "customer.subscription.created",
        "customer.subscription.created",
    ),
    (
        "customer.subscription.updated.renewed",
        "customer.subscription.updated",
    ),
    (
        "invoice.created.subscription_cycle.draft",
        "invoice.created",
    ),
    ("invoice.paid.subscription_create", "invoice.paid"),
    ("customer.deleted", "customer.deleted"),
    ("invoice.paid.subscription_cycle", "invoice.paid"),
    ("invoice.finalized.subscription_cycle", "invoice.finalized"),
    (
        "invoice.payment_failed.subscription_cycle",
        "invoice.payment_failed",
    ),
    (
        "invoice.payment_succeeded.subscription_cycle",
        "invoice.payment_succeeded",
    ),
    ("invoice.created.manual.final_usage", "invoice.created"),
    ("charge.refunded.partial", "charge.refunded"),
    ("charge.dispute.closed.lost", "charge.dispute.closed"),
];

fn recorded(folder: &str, name: &str) -> Value {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/tests/it/golden/webhooks/stripe/{folder}/{name}.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An event as an endpoint of that version gets it.
fn sent(world: &World, event: &str, version: ApiVersion) -> Value {
    let sent = world.sandbox.signed_event(event, version, "whsec_x");
    serde_json::from_str(&sent.unwrap().body).unwrap()
}

/// Every field of `ours` is in `theirs` with a value of the same kind, unless one of them is null.
fn assert_within(ours: &Value, theirs: &Value, path: &str) {
    match (ours, theirs) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(_), Value::Object(_)) if path.ends_with(".metadata") => {}
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in ours {
                let path = format!("{path}.{name}");
                let recorded = theirs
                    .get(name)
                    .unwrap_or_else(|| panic!("{path} is made up"));
                assert_within(value, recorded, &path);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first()) {
                assert_within(ours, theirs, &format!("{path}[0]"));
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(ours),
            std::mem::discriminant(theirs),
            "{path}: {ours} is not like {theirs}"
        ),
    }
}

#[tokio::test]
async fn what_is_sent_has_the_shape_of_recorded_webhooks_in_both_versions() {
    let world = World::start().await;
    world.sign_up(None);
    let (customer, draft) = world.renewal().await;
    world.item(&customer, &id(&draft), 8).await;
    world.sandbox.let_payments_fail(&customer);
    world.sandbox.advance(TimeDelta::hours(1));
    world.sandbox.let_payments_succeed(&customer);
    world.sandbox.advance(TimeDelta::days(3));
    let subscription = &draft["parent"]["subscription_details"]["subscription"];
    let form = [
        ("customer", customer.as_str()),
        ("amount", "8"),
        ("subscription", subscription.as_str().unwrap()),
    ];
    world.make("/v1/invoiceitems", &form).await;
    let form = [
        ("customer", customer.as_str()),
        ("subscription", subscription.as_str().unwrap()),
        ("pending_invoice_items_behavior", "include"),
    ];
    world.make("/v1/invoices", &form).await;
    let charges = world.look("/v1/charges", &[("customer", &customer)]).await;
    let charge = id(&charges["data"][0]);
    let form = [("charge", charge.as_str()), ("amount", "1000")];
    world.make("/v1/refunds", &form).await;
    let dispute = world.sandbox.open_dispute(&charge).unwrap();
    world.sandbox.close_dispute(&dispute, false);
    let path = format!("/v1/customers/{customer}");
    world.stripe(reqwest::Method::DELETE, &path, &[]).await;

    for (version, folder) in [(ApiVersion::Old, "old"), (ApiVersion::New, "new")] {
        for (name, event_type) in RECORDINGS {
            let recording = recorded(folder, name);
            let events = world.sandbox.events();
            let events = events.iter().filter(|event| event.event_type == event_type);
            let mut count = 0;
            for event in events {
                let mut sent = sent(&world, &event.id, version);
                let reason = |event: &Value| event["data"]["object"]["billing_reason"].clone();
                if reason(&sent) != reason(&recording) {
                    continue;
                }
                count += 1;
                assert_eq!(sent["api_version"], recording["api_version"]);
                // Which fields changed is another story in each recording.
                sent["data"]
                    .as_object_mut()
                    .unwrap()
                    .remove("previous_attributes");
                assert_within(&sent, &recording, &format!("{folder}/{name}"));
            }
            assert!(count > 0, "{folder}/{name} did not happen");
        }
    }
}

#[tokio::test]
async fn an_upcoming_invoice_has_the_recorded_shape_and_no_id() {
    let world = World::start().await;
    world.renewal().await;
    let events = world.sandbox.events();
    let upcoming = events
        .iter()
        .find(|event| event.event_type == "invoice.upcoming")
        .unwrap();

    let sent = sent(&world, &upcoming.id, ApiVersion::New);

    assert_within(
        &sent,
        &recorded("new", "invoice.upcoming.no_id"),
        "upcoming",
    );
    assert!(sent["data"]["object"].get("id").is_none());
    assert_eq!(sent["data"]["object"]["amount_due"], 2900);
}

#[tokio::test]
async fn a_paused_subscription_says_why_as_recorded() {
    let world = World::start().await;
    let subscription = world.sign_up(Some(7));
    world.sandbox.set_status(&subscription, Status::Paused);

    let path = format!("/v1/subscriptions/{subscription}");
    let paused = world.stripe(reqwest::Method::GET, &path, &[]).await.body;

    let recording = recorded("new", "customer.subscription.paused");
    assert_within(&paused, &recording["data"]["object"], "paused");
    assert_eq!(paused["status_details"]["paused"]["type"], "subscription");
}

#[tokio::test]
async fn an_adopted_object_is_fetched_as_it_was_recorded() {
    let world = World::start().await;
    let object = recorded("old", "customer.subscription.created")["data"]["object"].clone();
    let path = format!("/v1/subscriptions/{}", object["id"].as_str().unwrap());

    assert_eq!(
        world.stripe(reqwest::Method::GET, &path, &[]).await.status,
        404
    );
    assert!(world.sandbox.adopt(object.clone()));

    assert_eq!(
        world.stripe(reqwest::Method::GET, &path, &[]).await.body,
        object
    );
}
