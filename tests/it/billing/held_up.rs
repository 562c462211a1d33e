//! What a person must see to before it is billed: nothing of it is lost meanwhile, and nothing is billed wrongly.

use chrono::TimeDelta;

use super::{Billing, MINUTES};

#[tokio::test]
async fn a_period_is_not_closed_on_a_price_that_nobody_knows() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    let path = ["subscriptions", ann.subscription_id.as_str()];
    let said = billing.stripe(&path.join("/")).await;
    let item = said["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    let priced = async |price: &str| {
        let form = [
            ("items[0][id]", item.as_str()),
            ("items[0][price]", price),
            ("proration_behavior", "none"),
        ];
        billing.order(&path, &form).await;
        billing.house.take_in_all().await;
    };
    let known = said["items"]["data"][0]["price"]["id"].as_str().unwrap();

    priced("price_nobody_knows").await;
    billing.pass_end("ann", TimeDelta::minutes(20)).await;
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, ["unknown_price"]);
    assert_eq!(billing.billed(&ann).await, 0, "on which terms is not known");

    priced(known).await;
    billing.pass(TimeDelta::hours(2)).await;
    billing.timetable().await;
    billing.pass(TimeDelta::hours(2)).await;
    assert_eq!(billing.billed(&ann).await, 565);
    billing.check_calm().await;
}

#[tokio::test]
async fn usage_on_a_draft_that_stripe_keeps_is_told_to_a_person() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.pass_end("ann", TimeDelta::seconds(30)).await;
    billing.pass(TimeDelta::minutes(11)).await;
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, [""; 0], "it has its hour");

    // As though it had been made so long ago and could not be finalized.
    let older =
        "update invoices set created_at = created_at - interval '73 hours' where status = 'draft'";
    assert_eq!(billing.house.service.execute(older).await, 1);
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, ["usage_on_kept_draft"]);

    billing.pass(TimeDelta::hours(2)).await;
    billing.timetable().await;
    assert_eq!(billing.billed(&ann).await, 565);
    billing.check_calm().await;
}
