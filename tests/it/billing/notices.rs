//! What customers are notified of, where it is learnt and once.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tollkeeper::sandbox::stripe::SignUp;

use super::{Billing, MINUTES};
use crate::support::house::SECRETARY;

impl Billing {
    /// The types of what somebody was notified of, in a fixed order, without what their usage reached.
    async fn notified(&self, user: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select type from notifications where account_id = $1 and type <> 'usage.threshold' order by type, occasion",
        )
        .bind(user)
        .fetch_all(&self.house.service.db)
        .await
        .unwrap()
    }

    /// What the notifications of a type say.
    async fn said(&self, kind: &str) -> Vec<Value> {
        sqlx::query_scalar("select data from notifications where type = $1 order by occasion")
            .bind(kind)
            .fetch_all(&self.house.service.db)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn who_pays_has_a_receipt_and_who_does_not_is_told_until_when() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let at_first = [
        "number.provisioned",
        "payment.received",
        "subscription.created",
    ];
    assert_eq!(billing.notified("ann").await, at_first);
    billing.house.sandbox.let_payments_fail(&ann.customer_id);
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(2)).await;

    let failed = billing.said("payment.failed").await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["attempt"], 1);
    assert_eq!(failed[0]["amount"]["text"], "45.00 USD");
    let at = |name: &str| -> chrono::DateTime<chrono::Utc> {
        failed[0][name].as_str().unwrap().parse().unwrap()
    };
    assert!(at("nextAttemptAt") > billing.now());
    let grace = TimeDelta::days(3);
    let suspends_in = at("telephonySuspendedAt") - billing.now();
    assert!(
        suspends_in > TimeDelta::zero() && suspends_in <= grace,
        "{suspends_in}"
    );
    // The second attempt is another one.
    billing.pass(TimeDelta::days(4)).await;
    billing.house.take_in_all().await;
    let attempts: Vec<Value> = billing
        .said("payment.failed")
        .await
        .into_iter()
        .map(|failed| failed["attempt"].clone())
        .collect();
    assert_eq!(attempts, [json!(1), json!(2)]);
    billing.check_calm().await;
}

#[tokio::test]
async fn an_ending_and_a_smaller_plan_are_notified_once() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let ben = billing.customer("ben").await;
    let path = ["subscriptions", ann.subscription_id.as_str()];
    billing
        .order(&path, &[("cancel_at_period_end", "true")])
        .await;
    billing.pass(TimeDelta::minutes(1)).await;
    billing.cancel(&ben).await;
    billing.house.take_in_all().await;

    assert_eq!(
        billing.notified("ann").await,
        [
            "number.provisioned",
            "payment.received",
            "subscription.cancellation_scheduled",
            "subscription.created"
        ]
    );
    let created = billing.said("subscription.created").await;
    assert_eq!(created[0]["tier"], "ai_secretary");
    let downgraded = billing.said("subscription.downgraded").await;
    assert_eq!(downgraded.len(), 1);
    assert_eq!(
        (
            &downgraded[0]["userId"],
            &downgraded[0]["fromTier"],
            &downgraded[0]["toTier"]
        ),
        (&json!("ben"), &json!("ai_secretary"), &json!("ai_buddy"))
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn before_a_renewal_its_customer_is_told_of_the_overage_so_far() {
    let billing = Billing::new().await;
    let trial = SignUp {
        user_id: "tim".into(),
        email: "tim@example.com".into(),
        price_id: SECRETARY.into(),
        trial_days: Some(10),
        ..SignUp::default()
    };
    billing.customer_of(trial).await;
    billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.pass(TimeDelta::days(8)).await;
    assert_eq!(billing.said("trial.ending").await[0]["userId"], "tim");

    let end = billing.period_end("ann").await;
    billing
        .pass(end - TimeDelta::hours(70) - billing.now())
        .await;
    billing.house.take_in_all().await;

    let upcoming = billing.said("invoice.upcoming").await;
    let of_ann: Vec<&Value> = upcoming
        .iter()
        .filter(|told| told["userId"] == "ann")
        .collect();
    assert_eq!(of_ann.len(), 1, "{upcoming:?}");
    assert_eq!(of_ann[0]["overage"]["text"], "5.65 USD");
    let lines = of_ann[0]["lines"].as_array().unwrap();
    let texts: Vec<&str> = lines
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    assert!(
        texts.contains(&"Voice overage: 50 minutes @ $0.0130/min"),
        "{texts:?}"
    );
    assert_eq!(of_ann[0]["dueAt"], json!(end));
    billing.check_calm().await;
}
