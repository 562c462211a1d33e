//! Paying: attempts that fail and are repeated, the customer's balance, and what they do to a
//! subscription.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tollkeeper::sandbox::{Dunning, LastAttempt, Settings};

use super::client::{World, id, ids, text};

async fn pay(world: &World, invoice: &str) -> (u16, String) {
    world
        .refusal(&format!("/v1/invoices/{invoice}/pay"), &[])
        .await
}

async fn balance(world: &World, customer: &str) -> Value {
    world.look(&format!("/v1/customers/{customer}"), &[]).await["balance"].clone()
}

async fn status(world: &World, draft: &Value) -> String {
    let subscription = &draft["parent"]["subscription_details"]["subscription"];
    let path = format!("/v1/subscriptions/{}", subscription.as_str().unwrap());
    text(&world.look(&path, &[]).await["status"])
}

#[tokio::test]
async fn a_declined_card_is_tried_again_after_three_five_and_seven_days() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    world.sandbox.let_payments_fail(&customer);
    world.sandbox.advance(TimeDelta::hours(1));
    let mut attempt = draft["created"].as_i64().unwrap() + 3600;

    for (count, days) in [(1, 3), (2, 5), (3, 7)] {
        let open = world.invoice(&id(&draft)).await;
        attempt += days * 24 * 60 * 60;
        assert_eq!(
            (&open["status"], &open["attempt_count"]),
            (&json!("open"), &json!(count))
        );
        assert_eq!(open["next_payment_attempt"], attempt);
        assert_eq!(status(&world, &draft).await, "past_due");
        world.sandbox.advance(TimeDelta::days(days));
    }

    let open = world.invoice(&id(&draft)).await;
    assert_eq!(
        (&open["attempt_count"], &open["next_payment_attempt"]),
        (&json!(4), &json!(null))
    );
    assert_eq!(status(&world, &draft).await, "unpaid");
    world.sandbox.advance(TimeDelta::days(31));
    let subscription = &draft["parent"]["subscription_details"]["subscription"];
    let query = [
        ("subscription", subscription.as_str().unwrap()),
        ("status", "draft"),
    ];
    let drafts = world.look("/v1/invoices", &query).await;
    assert_eq!(
        ids(&drafts).len(),
        1,
        "an unpaid subscription's invoices stay drafts"
    );
    world.sandbox.let_payments_succeed(&customer);
    assert_eq!(pay(&world, &id(&draft)).await.0, 200);
    assert_eq!(status(&world, &draft).await, "active");
}

#[tokio::test]
async fn after_the_last_attempt_a_subscription_ends_where_the_account_is_set_so() {
    let dunning = Dunning {
        retry_after_days: vec![1],
        after_the_last: LastAttempt::Cancel,
    };
    let world = World::start_with(Settings {
        dunning,
        ..Settings::default()
    })
    .await;
    let (customer, draft) = world.renewal().await;
    world.sandbox.let_payments_fail(&customer);

    world.sandbox.advance(TimeDelta::days(2));

    assert_eq!(status(&world, &draft).await, "canceled");
    let open = world.invoice(&id(&draft)).await;
    assert_eq!(
        (&open["status"], &open["auto_advance"]),
        (&json!("open"), &json!(false))
    );
    assert_eq!(open["next_payment_attempt"], json!(null));
}

#[tokio::test]
async fn a_repeated_attempt_that_succeeds_makes_the_subscription_active_again() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    world.sandbox.let_payments_fail(&customer);
    world.sandbox.advance(TimeDelta::hours(1));
    world.sandbox.let_payments_succeed(&customer);

    world.sandbox.advance(TimeDelta::days(3));

    let paid = world.invoice(&id(&draft)).await;
    assert_eq!(
        (&paid["status"], &paid["attempt_count"]),
        (&json!("paid"), &json!(2))
    );
    assert_eq!(status(&world, &draft).await, "active");
}

#[tokio::test]
async fn a_declined_payment_is_answered_402_and_counted_once_for_its_key() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 900).await;
    world.sandbox.let_payments_fail(&customer);
    let path = format!("/v1/invoices/{invoice}/pay");

    let first = world.stripe_keyed(&path, &[], "k1").await;
    let second = world.stripe_keyed(&path, &[], "k1").await;

    assert_eq!((first.status, first.code()), (402, "card_declined"));
    assert_eq!((second.status, second.is_replayed), (402, true));
    assert_eq!(world.invoice(&invoice).await["attempt_count"], 1);
}

#[tokio::test]
async fn a_draft_is_finalized_and_paid_in_one() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.draft(&customer).await;
    world.item(&customer, &invoice, 900).await;

    assert_eq!(pay(&world, &invoice).await.0, 200);

    let paid = world.invoice(&invoice).await;
    assert_eq!(
        (&paid["status"], &paid["amount_remaining"]),
        (&json!("paid"), &json!(0))
    );
}

#[tokio::test]
async fn what_was_paid_elsewhere_is_paid_without_a_charge() {
    let world = World::start().await;
    let customer = world.customer().await;
    world.sandbox.let_payments_fail(&customer);
    let invoice = world.open_invoice(&customer, 900).await;

    let path = format!("/v1/invoices/{invoice}/pay");
    let paid = world.make(&path, &[("paid_out_of_band", "true")]).await;

    assert_eq!(
        (&paid["status"], &paid["attempted"]),
        (&json!("paid"), &json!(false))
    );
}

#[tokio::test]
async fn a_negative_total_becomes_credit_that_the_next_invoice_takes_up() {
    let world = World::start().await;
    let customer = world.customer().await;

    let credit = world.open_invoice(&customer, -500).await;
    let credited = world.invoice(&credit).await;
    assert_eq!(
        (&credited["status"], &credited["amount_due"]),
        (&json!("paid"), &json!(0))
    );
    assert_eq!(
        (&credited["total"], &credited["ending_balance"]),
        (&json!(-500), &json!(-500))
    );
    assert_eq!(balance(&world, &customer).await, -500);
    let next = world.open_invoice(&customer, 2900).await;

    let next = world.invoice(&next).await;
    assert_eq!(
        (&next["total"], &next["amount_due"]),
        (&json!(2900), &json!(2400))
    );
    assert_eq!(
        (&next["starting_balance"], &next["ending_balance"]),
        (&json!(-500), &json!(0))
    );
    let path = format!("/v1/customers/{customer}/balance_transactions");
    let movements = world.look(&path, &[]).await;
    let amounts: Vec<&Value> = movements["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["amount"])
        .collect();
    assert_eq!(amounts, [500, -500]);
}

#[tokio::test]
async fn a_total_too_small_to_charge_is_owed_and_charged_with_the_next_one() {
    let world = World::start().await;
    let customer = world.customer().await;

    let small = world.open_invoice(&customer, 49).await;
    let small = world.invoice(&small).await;
    assert_eq!(
        (&small["status"], &small["amount_due"]),
        (&json!("paid"), &json!(0))
    );
    assert_eq!(balance(&world, &customer).await, 49);
    let path = format!("/v1/customers/{customer}/balance_transactions");
    assert_eq!(
        world.look(&path, &[]).await["data"][0]["type"],
        "invoice_too_small"
    );
    let next = world.open_invoice(&customer, 10).await;

    assert_eq!(world.invoice(&next).await["amount_due"], 59);
    assert_eq!(balance(&world, &customer).await, 0);
}

#[tokio::test]
async fn a_voided_invoice_gives_back_what_it_took_from_the_balance() {
    let world = World::start().await;
    let customer = world.customer().await;
    world.open_invoice(&customer, -500).await;
    let invoice = world.open_invoice(&customer, 2900).await;

    world
        .make(&format!("/v1/invoices/{invoice}/void"), &[])
        .await;

    assert_eq!(balance(&world, &customer).await, -500);
}

#[tokio::test]
async fn an_ended_subscriptions_open_invoices_are_no_longer_collected_by_themselves() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    world.sandbox.let_payments_fail(&customer);
    world.sandbox.advance(TimeDelta::hours(1));
    let subscription = &draft["parent"]["subscription_details"]["subscription"];
    let path = format!("/v1/subscriptions/{}", subscription.as_str().unwrap());
    world.stripe(reqwest::Method::DELETE, &path, &[]).await;
    world.sandbox.let_payments_succeed(&customer);

    world.sandbox.advance(TimeDelta::days(30));
    assert_eq!(world.invoice(&id(&draft)).await["status"], "open");
    let path = format!("/v1/invoices/{}", id(&draft));
    world.make(&path, &[("auto_advance", "true")]).await;

    assert_eq!(world.invoice(&id(&draft)).await["status"], "paid");
}
