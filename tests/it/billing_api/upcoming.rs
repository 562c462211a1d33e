//! `GET /api/billing/upcoming`.

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use tollkeeper::sandbox::Fault;

use super::{Crm, UPCOMING, golden, now, number, subscriber, used};
use crate::{
    billing::{MESSAGES, MINUTES},
    support::api::{Api, token},
};

fn line(description: &str, amount: i64, dollars: &str) -> Value {
    json!({ "description": description, "amount": amount, "amount_dollars": dollars })
}

fn golden_lines() -> [Value; 3] {
    [
        line("Phone number: +14155550100", 500, "5.00"),
        line("SMS overage: 20 messages @ $0.0075/msg", 15, "0.15"),
        line("Voice overage: 50 minutes @ $0.0130/min", 65, "0.65"),
    ]
}

#[tokio::test]
async fn without_an_answer_of_stripes_the_catalogues_price_and_the_usage_are_shown() {
    // Nothing answers where Stripe is said to be.
    let api = Api::start().await;
    let now = now();
    let period = subscriber(&api.db, "ann", "ai_secretary", now).await;
    golden(&api.db, "ann", "+14155550100", now).await;

    let body = api.get(UPCOMING, &token("ann")).await.body;

    let text = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let [number, sms, voice] = golden_lines();
    let price = line("1 × AI Secretary (at $40.00 / month)", 4000, "40.00");
    assert_eq!(
        body,
        json!({
            "tier": "ai_secretary",
            "amount_due": 4580,
            "amount_dollars": "45.80",
            "period_start": text(period.starts_at),
            "period_end": text(period.ends_at),
            "next_payment_attempt": text(period.ends_at + TimeDelta::hours(1)),
            "lines": [price, number, sms, voice],
            "source": "own",
        })
    );
}

#[tokio::test]
async fn whoever_never_was_a_customer_has_no_next_invoice() {
    let api = Api::start().await;
    api.account("ann").await;

    let answer = api.get(UPCOMING, &token("ann")).await;

    assert_eq!(answer.status, 404);
    let expected = json!({ "error": "No Stripe customer found", "code": "NOT_FOUND" });
    assert_eq!(answer.body, expected);

    sqlx::query(
        "insert into stripe_customers (customer_ref, account_id) values ('cus_ann', 'ann')",
    )
    .execute(&api.db)
    .await
    .unwrap();
    let answer = api.get(UPCOMING, &token("ann")).await;
    assert_eq!(answer.body["amount_due"], 0, "{}", answer.text);
    assert_eq!(answer.body["lines"], json!([]));
}

#[tokio::test]
async fn a_subscription_that_ends_is_billed_its_usage_and_no_further_price() {
    let api = Api::start().await;
    let now = now();
    let period = subscriber(&api.db, "ann", "ai_secretary", now).await;
    golden(&api.db, "ann", "+14155550100", now).await;
    sqlx::query("update subscriptions set cancel_at_period_end = true")
        .execute(&api.db)
        .await
        .unwrap();

    let body = api.get(UPCOMING, &token("ann")).await.body;

    assert_eq!(body["amount_due"], 580);
    assert_eq!(body["lines"], json!(golden_lines()));
    let end = period.ends_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    assert_eq!(body["next_payment_attempt"], end.as_str());
}

#[tokio::test]
async fn what_is_owed_for_earlier_periods_and_on_no_invoice_comes_too() {
    let api = Api::start().await;
    let now = now();
    let period = subscriber(&api.db, "ann", "ai_secretary", now).await;
    sqlx::query(
        "with ended as (
             insert into billing_periods (period_id, account_id, starts_at, ends_at, subscription_ref, customer_ref, tier,
                                          terms, closed_at, rated_at, created_at)
             values (gen_random_uuid(), 'ann', $1 - interval '30 days', $1, 'sub_ann', 'cus_ann', 'ai_secretary',
                     '{\"tier\":\"ai_secretary\",\"currency\":\"usd\",\"meters\":{}}', $1, $1, $1)
             returning period_id)
         insert into charges (charge_id, account_id, period_id, meter, subject, revision, previous_rated_minor, rated_minor,
                              amount_minor, quantity, beyond, currency, description, waiver, created_at)
         select gen_random_uuid(), 'ann', period_id, meter, '', 1, 0, 7, 7, 0, 0, 'usd', meter || ' of before', waiver, $1
         from ended, (values ('sms', null), ('voice_minutes', 'trial')) as charge (meter, waiver)",
    )
    .bind(period.starts_at)
    .execute(&api.db)
    .await
    .unwrap();

    let body = api.get(UPCOMING, &token("ann")).await.body;

    assert_eq!(body["amount_due"], 4007);
    assert_eq!(body["lines"][1], line("sms of before", 7, "0.07"));
    assert_eq!(body["lines"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_price_that_only_stripe_knows_is_not_guessed() {
    let api = Api::start().await;
    subscriber(&api.db, "ann", "ai_cto", now()).await;

    let answer = api.get(UPCOMING, &token("ann")).await;

    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));
}

fn descriptions_and_amounts(lines: &Value) -> Vec<(String, i64)> {
    let lines = lines.as_array().unwrap().iter();
    let mut all: Vec<(String, i64)> = lines
        .map(|line| {
            let description = line["description"].as_str().unwrap().to_owned();
            (description, line["amount"].as_i64().unwrap())
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_is_announced_is_what_the_invoice_then_says() {
    let crm = Crm::new().await;
    let ann = crm.billing.customer("ann").await;
    crm.billing.uses("ann", MINUTES, 150).await;
    crm.billing.uses("ann", MESSAGES, 120).await;

    let announced = crm.get(UPCOMING, "ann").await;

    assert_eq!(announced["source"], "stripe", "{announced}");
    assert_eq!(announced["amount_due"], 4580);
    crm.billing.pass_end("ann", TimeDelta::seconds(30)).await;
    crm.billing.pass(TimeDelta::minutes(11)).await;
    crm.billing.pass(TimeDelta::hours(2)).await;
    let invoice = &crm.billing.invoices(&ann).await[1];
    assert_eq!(invoice["amount_paid"], announced["amount_due"]);
    assert_eq!(
        descriptions_and_amounts(&announced["lines"]),
        descriptions_and_amounts(&invoice["lines"]["data"])
    );
}

#[tokio::test]
async fn where_stripe_does_not_answer_the_next_invoice_comes_to_the_same() {
    let crm = Crm::new().await;
    crm.billing.customer("ann").await;
    crm.billing.uses("ann", MINUTES, 150).await;
    let by_stripe = crm.get(UPCOMING, "ann").await;
    crm.strike("POST", "create_preview", Fault::CutAfterEffect);

    let own = crm.get(UPCOMING, "ann").await;

    assert_eq!(
        (&by_stripe["source"], &own["source"]),
        (&json!("stripe"), &json!("own"))
    );
    for field in [
        "amount_due",
        "period_start",
        "period_end",
        "next_payment_attempt",
    ] {
        assert_eq!(by_stripe[field], own[field], "{field}");
    }
}

#[tokio::test]
async fn another_accounts_usage_is_on_nobody_elses_invoice() {
    let api = Api::start().await;
    let now = now();
    subscriber(&api.db, "ann", "ai_secretary", now).await;
    subscriber(&api.db, "bob", "ai_secretary", now).await;
    golden(&api.db, "bob", "+14155550101", now).await;
    number(&api.db, "ann", "+14155550100", now).await;
    used(&api.db, "ann", "sms", 120, now).await;

    let body = api.get(UPCOMING, &token("ann")).await.body;

    assert_eq!(body["amount_due"], 4000 + 500 + 15);
    let bobs = api.get(UPCOMING, &token("bob")).await.body;
    assert_eq!(bobs["amount_due"], 4580);
}
