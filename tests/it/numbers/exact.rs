//! Two orders that name a number each, for a user who has one.

use serde_json::json;
use tollkeeper::sandbox::{Fault, When};

use super::{Desk, THE_ONE};
use crate::support::house::TO_NUMBERS;

#[tokio::test]
async fn of_two_orders_by_name_at_once_the_second_is_told_the_number_that_the_first_has_bought() {
    let desk = Desk::of_ann().await;
    let on_sale = desk.on_sale("628", 2).await;
    assert_eq!(desk.release_the_only("ann").await.status, 200);
    desk.house.settle().await;
    let before = desk.held();
    // Long enough that both are under way.
    let slow = Fault::TooManyRequests {
        retry_after_seconds: Some(1),
    };
    desk.house.strike("POST", TO_NUMBERS, When::First(1), slow);
    let order = async |number: &str| {
        desk.post("ann", THE_ONE, json!({ "phone_number": number }))
            .await
    };

    let (one, other) = tokio::join!(order(&on_sale[0]), order(&on_sale[1]));

    let (bought, refused) = if one.status == 200 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(bought.status, 200, "{}", bought.body);
    let number = &bought.body["phone_number"];
    assert!(on_sale.iter().any(|one| number == one.as_str()), "{number}");
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(refused.body["error"], "Phone number already provisioned");
    assert_eq!(refused.body["phone_number"], *number);
    assert_eq!(desk.held(), (before.0 + 1, before.1 + 1));
    desk.close().await;
}
