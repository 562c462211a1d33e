//! Lost answers and late executions: still one of each.

use std::time::Duration;

use tollkeeper::sandbox::{Fault, Provider, Rule, When};

use crate::support::{
    house::{House, TO_NUMBERS},
    until,
};

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
async fn an_outage_of_a_provider_is_waited_out_without_charging_the_jobs() {
    let house = House::new().await;
    let outage = Fault::ErrorBefore { status: 503 };
    let everything = Rule::on(Provider::Stripe, "GET", "/v1/", When::Always, outage);
    house.sandbox.add_rules(vec![everything]);
    for user in 0..10 {
        house.sign_up(&format!("user_{user}"));
    }
    for event in house.sandbox.events() {
        house.take_in(&event.id).await;
    }
    until("jobs wait that were not charged for it", async || {
        let waited = "select count(*) from queue.job_attempts
                      where outcome = 'later' and error like '%not answered for a while%'";
        house.service.value::<i64>(waited).await > 100
    })
    .await;
    let asked = house.sandbox.calls().len();

    house.sandbox.clear_rules();
    house.settle().await;

    assert!(asked < 60, "{asked} requests were sent into the outage");
    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.held(), (10, 10, 10, 10));
    house.worker.stop().await;
}
