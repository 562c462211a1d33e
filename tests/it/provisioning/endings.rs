//! Cancelled, unpaid, returned: what becomes of the number.

use chrono::TimeDelta;
use tollkeeper::sandbox::{Fault, When, stripe::Status};

use crate::support::house::House;

#[tokio::test]
async fn who_cancels_is_suspended_and_who_returns_in_time_keeps_the_number() {
    let house = House::new().await;
    let first = house.sign_up("ann");
    house.take_in_all().await;
    let number = house.sandbox.numbers()[0].phone_number.clone();

    house
        .sandbox
        .set_status(&first.subscription_id, Status::Canceled);
    house.take_in_all().await;
    assert_eq!(house.standing("ann").await, "suspended");
    let subaccount = format!("{:?}", house.sandbox.subaccounts()[0].status);
    assert_eq!(subaccount.to_lowercase(), "suspended");

    house.pass(TimeDelta::days(6)).await;
    house.sign_up("ann");
    house.take_in_all().await;
    house.pass(TimeDelta::days(30)).await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 1));
    assert_eq!(house.sandbox.numbers()[0].phone_number, number);
    let subaccount = format!("{:?}", house.sandbox.subaccounts()[0].status);
    assert_eq!(subaccount.to_lowercase(), "active");
    house.worker.stop().await;
}

#[tokio::test]
async fn a_number_is_released_after_the_grace_time_and_a_return_orders_another() {
    let house = House::new().await;
    let first = house.sign_up("ann");
    house.take_in_all().await;
    house
        .sandbox
        .set_status(&first.subscription_id, Status::Canceled);
    house.take_in_all().await;

    house.pass(TimeDelta::days(8)).await;
    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "released");
    assert_eq!(house.held(), (1, 1, 0, 1));

    // The first request to lift her subaccount is turned away.
    let busy = Fault::TooManyRequests {
        retry_after_seconds: Some(1),
    };
    house.strike("POST", "Accounts/", When::First(1), busy);
    house.sign_up("ann");
    house.take_in_all().await;
    house.pass(TimeDelta::minutes(5)).await;
    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 2));
    house.sweep().await;
    assert_eq!(house.findings().await, Vec::<String>::new());
    house.worker.stop().await;
}

#[tokio::test]
async fn missing_payment_suspends_after_the_grace_time_and_not_before() {
    let house = House::new().await;
    let ann = house.sign_up("ann");
    let bob = house.sign_up("bob");
    house.take_in_all().await;
    for who in [&ann, &bob] {
        house
            .sandbox
            .set_status(&who.subscription_id, Status::PastDue);
    }
    house.take_in_all().await;
    house.pass(TimeDelta::days(2)).await;
    assert_eq!(house.standing("ann").await, "active");

    house
        .sandbox
        .set_status(&bob.subscription_id, Status::Active);
    house.take_in_all().await;
    house.pass(TimeDelta::hours(25)).await;

    assert_eq!(house.standing("ann").await, "suspended");
    assert_eq!(house.standing("bob").await, "active");
    house.worker.stop().await;
}

#[tokio::test]
async fn a_return_while_the_release_looks_the_candidate_up_buys_no_second_number() {
    use crate::support::{house::TO_NUMBERS, until};

    let house = House::new().await;
    let busy = Fault::TooManyRequests {
        retry_after_seconds: Some(3000),
    };
    // As often as it is asked: a later event of the sign-up may ask once more.
    house.strike("POST", TO_NUMBERS, When::Always, busy);
    let first = house.sign_up("ann");
    house.take_in_all().await;
    house
        .sandbox
        .set_status(&first.subscription_id, Status::Canceled);
    house.take_in_all().await;
    assert_eq!(house.standing("ann").await, "suspended");
    assert_eq!(house.held(), (1, 1, 0, 0));
    house.sandbox.clear_rules();

    let slow = Fault::Latency {
        by: std::time::Duration::from_secs(6),
    };
    house.strike("GET", TO_NUMBERS, When::First(1), slow);
    // The purchase of who returned is answered after the look-up is.
    let slower = Fault::Latency {
        by: std::time::Duration::from_secs(10),
    };
    house.strike("POST", TO_NUMBERS, When::First(1), slower);
    house.sandbox.advance(TimeDelta::days(7));
    until("the release looks the candidate up", async || {
        house
            .service
            .value::<bool>(
                "select exists (select 1 from queue.jobs where kind = 'release_number'
                 and state = 'running' and started_at < now() - interval '500 ms')",
            )
            .await
    })
    .await;
    house.sign_up("ann");
    house.take_in_all().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 1));
    house.worker.stop().await;
}
