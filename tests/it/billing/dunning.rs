//! What becomes of who does not pay, and of who pays after all.

use chrono::TimeDelta;

use super::Billing;

#[tokio::test]
async fn a_renewal_that_is_not_paid_suspends_after_the_grace_time_and_a_payment_restores() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let sandbox = &billing.house.sandbox;
    sandbox.let_payments_fail(&ann.customer_id);
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(2)).await;
    let status = async || -> String {
        let service = &billing.house.service;
        service.value("select status from subscriptions").await
    };
    assert_eq!(status().await, "past_due");
    billing.pass(TimeDelta::days(2)).await;
    assert_eq!(billing.house.standing("ann").await, "active");

    billing.pass(TimeDelta::days(1)).await;
    assert_eq!(billing.house.standing("ann").await, "suspended");

    let invoice = billing.last_invoice(&ann).await;
    sandbox.let_payments_succeed(&ann.customer_id);
    let id = invoice["id"].as_str().unwrap();
    billing.order(&["invoices", id, "pay"], &[]).await;
    billing.pass(TimeDelta::seconds(1)).await;

    assert_eq!(status().await, "active");
    assert_eq!(billing.house.standing("ann").await, "active");
    assert_eq!(billing.house.held(), (1, 1, 1, 1), "with the same number");
    billing.check_calm().await;
}
