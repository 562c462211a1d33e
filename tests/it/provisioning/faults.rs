//! Lost answers and late executions: still one of each.

use std::time::Duration;

use tollkeeper::sandbox::{Fault, When};

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
