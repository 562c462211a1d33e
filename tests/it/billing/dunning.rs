//! What becomes of who does not pay, and of who pays after all.

use chrono::TimeDelta;
use tollkeeper::{
    billing::operate::{self, Approves},
    queue::operate::By,
    sandbox::{Fault, Provider, Rule, When},
};

use super::{Billing, MINUTES};

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
    // It was told of so long ago that nobody remembers.
    let told = "delete from notifications where type = 'number.provisioned'";
    billing.house.service.execute(told).await;

    let invoice = billing.last_invoice(&ann).await;
    sandbox.let_payments_succeed(&ann.customer_id);
    let id = invoice["id"].as_str().unwrap();
    billing.order(&["invoices", id, "pay"], &[]).await;
    billing.pass(TimeDelta::seconds(1)).await;

    assert_eq!(status().await, "active");
    assert_eq!(billing.house.standing("ann").await, "active");
    assert_eq!(billing.house.held(), (1, 1, 1, 1), "with the same number");
    let told = "select count(*) from notifications where type = 'number.provisioned'";
    let told: i64 = billing.house.service.value(told).await;
    assert_eq!(told, 0, "it is no new number");
    billing.check_calm().await;
}

#[tokio::test]
async fn what_an_unpaid_subscription_owes_is_on_no_draft_that_nobody_collects() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let sandbox = &billing.house.sandbox;
    sandbox.let_payments_fail(&ann.customer_id);
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    for _ in 0..25 {
        billing.pass(TimeDelta::days(1)).await;
    }
    let status = "select status from subscriptions";
    let status: String = billing.house.service.value(status).await;
    assert_eq!(status, "unpaid");

    billing.uses("ann", super::MINUTES, 150).await;
    billing.pass_end("ann", TimeDelta::hours(3)).await;
    billing.timetable().await;

    let renewal = billing.invoices(&ann).await.into_iter().rfind(|invoice| {
        (&invoice["billing_reason"], &invoice["status"])
            == (&"subscription_cycle".into(), &"draft".into())
    });
    assert_eq!(billing.items(&renewal.unwrap()).await, []);
    assert!(billing.billed(&ann).await > 0);
    let waits = "select count(*) from charges where waiver is null and invoice_id is null";
    assert_eq!(billing.house.service.value::<i64>(waits).await, 0);
    billing.check_calm().await;
}

/// What is owed when they leave is on an invoice of our own; answers it, after `change` and a few hours.
async fn last_bill_of(
    billing: &Billing,
    ann: &tollkeeper::sandbox::stripe::SignedUp,
    change: &'static str,
) -> serde_json::Value {
    billing.uses("ann", super::MINUTES, 150).await;
    billing.pass(TimeDelta::days(3)).await;
    billing.cancel(ann).await;
    billing.house.service.execute(change).await;
    billing.pass(TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(2)).await;
    let invoice = billing.last_invoice(ann).await;
    assert_eq!(invoice["billing_reason"], "manual");
    assert_eq!(billing.billed(ann).await, 565);
    invoice
}

#[tokio::test]
async fn an_invoice_of_our_own_is_paid_by_the_card_of_the_subscription() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let invoice = last_bill_of(&billing, &ann, "select 1").await;
    assert_eq!(invoice["status"], "paid");
    assert_ne!(invoice["default_payment_method"], serde_json::Value::Null);
    billing.check_calm().await;
}

#[tokio::test]
async fn an_invoice_whose_card_was_taken_away_is_made_all_the_same() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let taken_away = "update subscriptions set payment_method_ref = 'pm_gone'";
    let invoice = last_bill_of(&billing, &ann, taken_away).await;
    assert_eq!(invoice["status"], "open");
    assert_eq!(billing.house.dead().await, [""; 0]);
    let planned = "select count(*) from invoices where is_own";
    assert_eq!(billing.house.service.value::<i64>(planned).await, 1);
}

#[tokio::test]
async fn an_invoice_of_our_own_that_nobody_pays_is_a_finding_until_it_is_dealt_with() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.house.sandbox.let_payments_fail(&ann.customer_id);
    let invoice = last_bill_of(&billing, &ann, "select 1").await;
    assert_eq!(invoice["status"], "open");
    billing.pass(TimeDelta::days(29)).await;
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, [""; 0]);

    billing.pass(TimeDelta::days(2)).await;
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, ["own_invoice_unpaid"]);

    let id = invoice["id"].as_str().unwrap();
    let given_up = ["invoices", id, "mark_uncollectible"];
    billing.order(&given_up, &[]).await;
    billing.pass(TimeDelta::seconds(1)).await;
    billing.timetable().await;
    billing.check_calm().await;
}

#[tokio::test]
async fn an_invoice_that_stripe_wants_none_of_parks_once_and_is_not_forgotten() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let refuse = Fault::Refuse {
        status: 400,
        code: "resource_missing".into(),
    };
    let rule = Rule::on(
        Provider::Stripe,
        "POST",
        "/v1/invoices",
        When::Always,
        refuse,
    );
    billing.house.sandbox.add_rules(vec![rule]);
    billing.uses("ann", MINUTES, 150).await;
    billing.pass(TimeDelta::days(3)).await;
    billing.cancel(&ann).await;
    billing.pass(TimeDelta::minutes(11)).await;
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, ["invoice_refused"]);

    let mut conn = billing.house.service.db.acquire().await.unwrap();
    let by = By {
        who: "finance",
        why: "they are gone",
    };
    let now = billing.now();
    operate::unpark(&mut conn, "ann", Approves::Nothing, by, now)
        .await
        .unwrap();
    billing.house.settle().await;
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, [""; 0], "it was accepted");
    let parked = "select count(*) from billing_parks";
    assert_eq!(billing.house.service.value::<i64>(parked).await, 0);

    billing.pass(TimeDelta::days(61)).await;
    billing.timetable().await;
    assert_eq!(billing.house.findings().await, ["owed_for_long"]);
}
