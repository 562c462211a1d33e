//! Lost answers, late executions, doubled and shuffled events: still one of each.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tollkeeper::sandbox::{
    Fault, Rule, When,
    stripe::{SignedUp, Status},
};

use crate::support::house::{House, TO_NUMBERS};

#[tokio::test]
async fn a_lost_answer_buys_no_second_number_and_no_second_subaccount() {
    for fault in [
        Fault::CutAfterEffect,
        Fault::ErrorAfter { status: 500 },
        Fault::CutBeforeEffect,
        Fault::LateExecution {
            delay: Duration::from_millis(120),
        },
    ] {
        let house = House::new().await;
        house.strike("POST", "Accounts.json", When::First(1), fault.clone());
        house.strike("POST", TO_NUMBERS, When::First(2), fault.clone());
        house.sign_up("ann");

        house.take_in_all().await;

        assert_eq!(house.standing("ann").await, "active", "{fault:?}");
        assert_eq!(house.held(), (1, 1, 1, 1), "{fault:?}");
        house.sweep().await;
        assert_eq!(house.findings().await, Vec::<String>::new(), "{fault:?}");
        house.worker.stop().await;
    }
}

#[tokio::test]
async fn events_in_any_order_and_any_number_end_alike() {
    let house = House::new().await;
    let mut dice = StdRng::seed_from_u64(7);
    let users: Vec<String> = (0..24).map(|user| format!("user_{user}")).collect();
    let signed_up: Vec<SignedUp> = users.iter().map(|user| house.sign_up(user)).collect();
    for (position, who) in signed_up.iter().enumerate() {
        let id = &who.subscription_id;
        house.sandbox.set_status(id, Status::PastDue);
        house.sandbox.set_status(id, Status::Active);
        if position % 2 == 0 {
            house.sandbox.set_status(id, Status::Canceled);
        }
    }
    let mut events: Vec<String> = house
        .sandbox
        .events()
        .into_iter()
        .map(|event| event.id)
        .collect();
    let copies: Vec<String> = events
        .iter()
        .filter(|_| dice.random_bool(0.5))
        .cloned()
        .collect();
    events.extend(copies);
    events.shuffle(&mut dice);

    for event in &events {
        house.take_in(event).await;
    }
    house.settle().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    for (position, user) in users.iter().enumerate() {
        let expected = if position % 2 == 0 { "" } else { "active" };
        assert_eq!(house.standing(user).await, expected, "{user}");
    }
    assert_eq!(house.held(), (12, 12, 12, 12));
    house.worker.stop().await;
}

#[tokio::test]
async fn with_every_fault_on_each_account_has_one_subaccount_and_one_number() {
    let house = House::new().await;
    let rules = Rule::every_fault(0.1, Duration::from_millis(60));
    house.sandbox.add_rules(rules);
    const ACCOUNTS: usize = 40;
    for user in 0..ACCOUNTS {
        house.sign_up(&format!("user_{user}"));
    }

    house.take_in_all().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    let active: i64 = house
        .service
        .value("select count(*) from telephony where status = 'active'")
        .await;
    assert_eq!(active, ACCOUNTS as i64);
    assert_eq!(house.held(), (ACCOUNTS, ACCOUNTS, ACCOUNTS, ACCOUNTS));
    house.sandbox.clear_rules();
    house.sweep().await;
    assert_eq!(house.findings().await, Vec::<String>::new());
    house.worker.stop().await;
}
