//! What users are told of their money, in words, once each.

use chrono::TimeDelta;
use tollkeeper::sandbox::stripe::SignUp;

use super::{Billing, MINUTES};
use crate::support::house::SECRETARY;

impl Billing {
    /// What was told to somebody, in the order in which it happened.
    pub async fn told(&self, user: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select format('%s %s', event_type, coalesce(amount_minor::text, '-'))
             from billing_events where account_id = $1 order by occurred_at, event_type, occasion",
        )
        .bind(user)
        .fetch_all(&self.house.service.db)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_customers_history_is_told_in_its_order_and_once() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(2)).await;
    billing.cancel(&ann).await;

    let expected = [
        "payment_succeeded 4000",
        "subscription_created 0",
        "overage_charges_added 565",
        "payment_succeeded 4565",
        "subscription_deleted -",
    ];
    assert_eq!(billing.told("ann").await, expected);
    billing.timetable().await;
    billing.house.take_in_all().await;
    assert_eq!(billing.told("ann").await, expected);
    let descriptions: Vec<String> = sqlx::query_scalar(
        "select description from billing_events where event_type like 'subscription%' order by occurred_at",
    )
    .fetch_all(&billing.house.service.db)
    .await
    .unwrap();
    assert_eq!(
        descriptions,
        [
            "Subscription created: ai_secretary",
            "Subscription cancelled, downgraded to free tier"
        ]
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn a_cancellation_that_is_taken_back_and_another_plan_are_told() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let path = ["subscriptions", ann.subscription_id.as_str()];
    let subscription = billing.stripe(&path.join("/")).await;
    let item = subscription["items"]["data"][0]["id"].as_str().unwrap();
    for form in [
        &[("cancel_at_period_end", "true")][..],
        &[("cancel_at_period_end", "false")],
        &[
            ("items[0][id]", item),
            ("items[0][price]", "price_repx1"),
            ("proration_behavior", "none"),
        ],
    ] {
        billing.order(&path, form).await;
        billing.pass(TimeDelta::minutes(1)).await;
    }

    let told = billing.told("ann").await;
    assert_eq!(
        told[2..],
        [
            "subscription_cancel_scheduled -",
            "subscription_reactivated -",
            "subscription_tier_changed -",
        ]
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn the_end_of_a_trial_is_told_three_days_ahead() {
    let billing = Billing::new().await;
    let who = SignUp {
        user_id: "ann".into(),
        email: "ann@example.com".into(),
        price_id: SECRETARY.into(),
        trial_days: Some(14),
        ..SignUp::default()
    };
    billing.customer_of(who).await;
    billing.pass(TimeDelta::days(10)).await;
    assert_eq!(billing.told("ann").await, ["subscription_created 0"]);

    billing
        .pass(TimeDelta::days(1) + TimeDelta::minutes(1))
        .await;

    assert_eq!(
        billing.told("ann").await,
        ["subscription_created 0", "trial_ending -"]
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn every_failed_attempt_is_told_also_when_only_the_payment_was_heard_of() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.house.sandbox.let_payments_fail(&ann.customer_id);
    // Two attempts fail, and nothing of it arrives until the third succeeds.
    let end = billing.period_end("ann").await;
    let until = |time: TimeDelta| end + time - billing.now();
    billing.house.sandbox.advance(until(TimeDelta::days(4)));
    billing.house.sandbox.let_payments_succeed(&ann.customer_id);
    billing.pass(until(TimeDelta::days(9))).await;

    let mut told = billing.told("ann").await;
    told.retain(|event| event.starts_with("payment"));
    told.sort();
    assert_eq!(
        told,
        [
            "payment_failed 4000",
            "payment_failed 4000",
            "payment_succeeded 4000",
            "payment_succeeded 4000",
            // The number's fee, on an invoice of its own: the renewal's was gone.
            "payment_succeeded 500",
        ]
    );
    let status: String = billing
        .house
        .service
        .value("select status from subscriptions")
        .await;
    assert_eq!(status, "active");
    billing.check_calm().await;
}
