//! What cannot be taken back is not done on old news, and what stands still is asked for again.

use chrono::TimeDelta;
use tollkeeper::sandbox::{
    Fault, Provider, Rule, When,
    stripe::{SignedUp, Status},
};

use crate::support::house::House;

/// Ann has a number, and then her subscription came to stand so.
async fn after(status: Status) -> (House, SignedUp) {
    let house = House::new().await;
    let ann = house.sign_up("ann");
    house.take_in_all().await;
    house.sandbox.set_status(&ann.subscription_id, status);
    house.take_in_all().await;
    (house, ann)
}

#[tokio::test]
async fn who_paid_is_not_suspended_because_the_news_of_it_was_lost() {
    let (house, ann) = after(Status::PastDue).await;

    // Paid, and nobody tells us.
    house
        .sandbox
        .set_status(&ann.subscription_id, Status::Active);
    house.pass(TimeDelta::days(4)).await;

    assert_eq!(house.standing("ann").await, "active");
    let suspended: i64 = house
        .service
        .value("select count(*) from provider_calls where kind like '%status%'")
        .await;
    assert_eq!(suspended, 0, "Twilio was never asked to suspend");
    house.worker.stop().await;
}

#[tokio::test]
async fn who_returned_keeps_the_number_though_the_news_of_it_was_lost() {
    let (house, ann) = after(Status::Canceled).await;
    assert_eq!(house.standing("ann").await, "suspended");

    // Back under the same customer, and nobody tells us: a subscription we never heard of.
    let back = [
        ("customer", ann.customer_id.as_str()),
        ("items[0][price]", "price_repx1"),
    ];
    let stripe = &house.service.ctx.stripe;
    let path = ["v1", "subscriptions"];
    let _: serde_json::Value = stripe.post(&path, &back, "back").await.unwrap();
    house.pass(TimeDelta::days(8)).await;

    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 1));
    house.worker.stop().await;
}

#[tokio::test]
async fn an_ending_whose_job_is_gone_is_asked_for_again() {
    let (house, _) = after(Status::Canceled).await;
    let gone = house
        .service
        .execute("delete from queue.jobs where kind = 'release_number'")
        .await;
    assert_eq!(gone, 1);
    house.pass(TimeDelta::days(9)).await;
    assert_eq!(house.held(), (1, 1, 1, 1), "still paid for");

    house.sweep().await;
    house.settle().await;

    assert_eq!(house.standing("ann").await, "released");
    assert_eq!(house.held(), (1, 1, 0, 1));
    house.worker.stop().await;
}

#[tokio::test]
async fn a_key_that_stripe_refuses_for_a_while_kills_no_job() {
    let house = House::new().await;
    let refused = Fault::Refuse {
        status: 401,
        code: "invalid_api_key".into(),
    };
    house.sandbox.add_rules(vec![Rule::on(
        Provider::Stripe,
        "GET",
        "/v1/subscriptions",
        When::First(5),
        refused,
    )]);
    house.sign_up("ann");

    house.take_in_all().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "active");
    house.worker.stop().await;
}
