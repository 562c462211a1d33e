//! What a coupon takes off, and what it does not.

use chrono::TimeDelta;

use super::{Billing, MINUTES};

#[tokio::test]
async fn a_coupon_takes_nothing_off_what_was_used() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    let draft = billing.last_invoice(&ann).await;
    let id = draft["id"].as_str().unwrap();
    assert!(billing.house.sandbox.discount(id, 50));

    billing.pass(TimeDelta::hours(2)).await;

    let paid = billing.last_invoice(&ann).await;
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["subtotal"], 4_565);
    assert_eq!(
        paid["total"], 2_565,
        "half of the plan, and all of the usage"
    );
    billing.timetable().await;
    billing.check_calm().await;
}
