//! Every recorded Stripe webhook, in both shapes, through the real receiver and the real workers:
//! what each leads to.

use serde_json::Value;
use tollkeeper_jobs::stripe_events;

use crate::support::{
    house::House,
    web::{golden, golden_files},
};

/// What is so after a recording was delivered and everything it asked for was done: the webhook, the
/// subscription of account 42, its tier, its telephony. Empty: there is none.
type After = (&'static str, &'static str, &'static str, &'static str);

const PAID: After = ("handled", "active", "repx2", "active");
const NOTHING_KNOWN: After = ("handled", "", "", "");

/// By the file's name, in whichever shape. What a job refetches is what the recording says, and for
/// everything that is no subscription, an active one.
const LEADS_TO: &[(&str, After)] = &[
    ("charge.dispute.closed.lost", NOTHING_KNOWN),
    ("charge.dispute.created", NOTHING_KNOWN),
    ("charge.refunded.full", NOTHING_KNOWN),
    ("charge.refunded.partial", NOTHING_KNOWN),
    // A charge that names its invoice leads to whoever is billed by it.
    ("old/charge.refunded.full", PAID),
    ("old/charge.refunded.partial", PAID),
    ("checkout.session.completed", PAID),
    (
        "checkout.session.completed.unpaid_async",
        ("handled", "incomplete", "repx2", ""),
    ),
    ("customer.deleted", NOTHING_KNOWN),
    (
        "customer.subscription.created",
        ("handled", "incomplete", "repx2", ""),
    ),
    (
        "customer.subscription.created.trialing",
        ("handled", "trialing", "repx2", "active"),
    ),
    (
        "customer.subscription.deleted.at_period_end",
        ("handled", "canceled", "repx2", ""),
    ),
    (
        "customer.subscription.deleted.immediately",
        ("handled", "canceled", "repx2", ""),
    ),
    (
        "customer.subscription.deleted.payment_failed",
        ("handled", "canceled", "repx2", ""),
    ),
    (
        "customer.subscription.paused",
        ("handled", "paused", "repx2", ""),
    ),
    ("customer.subscription.resumed", PAID),
    (
        "customer.subscription.trial_will_end",
        ("handled", "trialing", "repx2", "active"),
    ),
    ("customer.subscription.updated.activated", PAID),
    ("customer.subscription.updated.cancel_scheduled", PAID),
    // Stripe still calls it active: collection is paused, the service is not.
    ("customer.subscription.updated.collection_paused", PAID),
    // First heard of when payment is missing: nothing is bought, and nothing is there to suspend.
    (
        "customer.subscription.updated.past_due",
        ("handled", "past_due", "repx2", ""),
    ),
    ("customer.subscription.updated.renewed", PAID),
    ("customer.subscription.updated.trial_ended", PAID),
    (
        "customer.subscription.updated.upgraded",
        ("handled", "active", "repx3", "active"),
    ),
    ("invoice.created.manual.final_usage", PAID),
    ("invoice.created.subscription_create", PAID),
    ("invoice.created.subscription_cycle.draft", PAID),
    ("invoice.created.subscription_update.proration", PAID),
    ("invoice.finalized.subscription_cycle", PAID),
    ("invoice.paid.subscription_create", PAID),
    ("invoice.paid.subscription_create.trial_zero", PAID),
    ("invoice.paid.subscription_cycle", PAID),
    ("invoice.payment_failed.subscription_cycle", PAID),
    ("invoice.payment_succeeded.subscription_cycle", PAID),
    ("invoice.upcoming.no_id", PAID),
    ("v1.invoice.created", PAID),
];

#[tokio::test]
async fn every_recorded_event_of_the_new_shape_leads_to_what_the_table_says() {
    walk("new").await;
}

#[tokio::test]
async fn every_recorded_event_of_the_old_shape_leads_to_what_the_table_says() {
    walk("old").await;
}

#[tokio::test]
async fn a_thin_event_leads_to_what_its_object_says() {
    walk("thin").await;
}

async fn walk(shape: &str) {
    let mut wrong = Vec::new();
    for (file, body) in golden_files(&format!("webhooks/stripe/{shape}"), ".json") {
        let name = file.trim_end_matches(".json");
        let (after, dead) = deliver(name, &body).await;
        let event: Value = serde_json::from_slice(&body).unwrap();
        let is_ours = stripe_events::route(event["type"].as_str().unwrap()).is_some();
        let in_shape = format!("{shape}/{name}");
        let find = |wanted: &str| LEADS_TO.iter().find(|(known, _)| *known == wanted);
        match find(&in_shape).or_else(|| find(name)) {
            Some((_, expected)) if after != owned(*expected) => {
                wrong.push(format!("{shape}/{name}: {after:?}, expected {expected:?}"));
            }
            Some(_) => {}
            // A file dropped in later: stored, and nothing of it dies.
            None if is_ours && after.0 == "stored" => {
                wrong.push(format!("{shape}/{name}: {after:?}"))
            }
            None => {}
        }
        if !dead.is_empty() {
            wrong.push(format!("{shape}/{name}: dead {dead:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is so afterwards, and which jobs died.
async fn deliver(name: &str, body: &[u8]) -> ((String, String, String, String), Vec<String>) {
    let house = House::new().await;
    let web = house.web();
    let event: Value = serde_json::from_slice(body).unwrap();
    let standing = match name {
        "checkout.session.completed.unpaid_async" => "new/customer.subscription.created",
        _ => "new/customer.subscription.updated.activated",
    };
    for recording in [standing, "new/invoice.created.subscription_cycle.draft"] {
        let path = golden(&format!("webhooks/stripe/{recording}.json"));
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        house.sandbox.adopt(recorded["data"]["object"].clone());
    }
    house.sandbox.adopt(event["data"]["object"].clone());

    let answer = web.stripe("/stripe/webhook", body).await;
    assert_eq!(answer.status(), 200, "{name}");
    house.settle().await;

    let state = house.service.value("select state from webhooks").await;
    let (status, tier): (String, String) = sqlx::query_as(
        "select coalesce(max(status), ''), coalesce(max(tier), '') from subscriptions where account_id = '42'",
    )
    .fetch_one(&house.service.db)
    .await
    .unwrap();
    let after = (state, status, tier, house.standing("42").await);
    let dead = house.dead().await;
    web.tell_to_stop();
    web.ended().await;
    house.worker.stop().await;
    house.sandbox.stop().await;
    (after, dead)
}

fn owned((webhook, status, tier, telephony): After) -> (String, String, String, String) {
    (webhook.into(), status.into(), tier.into(), telephony.into())
}
