//! `POST /api/billing/estimate`.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::sandbox::Fault;
use tollkeeper_jobs::{billing::proration::by_seconds, usage::Span};

use super::{Crm, ESTIMATE, now, subscriber};
use crate::support::{
    api::{Answer, Api, token},
    house::{MANAGER, SECRETARY},
};

async fn estimate(api: &Api, user: &str, target: &str) -> Answer {
    let body = json!({ "target_tier": target });
    api.post(ESTIMATE, &token(user), body).await
}

#[tokio::test]
async fn half_a_period_from_secretary_to_manager_is_120_dollars() {
    // Nothing answers where Stripe is said to be.
    let api = Api::start().await;
    let period = subscriber(&api.db, "ann", "ai_secretary", now()).await;

    let answer = estimate(&api, "ann", "ai_project_manager").await;

    assert_eq!(
        answer.body,
        json!({
            "current_tier": "ai_secretary",
            "new_tier": "ai_project_manager",
            "proration": { "unused_credit": 2000, "prorated_charge": 14000, "net_charge": "120.00" },
            "new_limits": { "voice_minutes": 500, "sms_messages": 500 },
            "billing_date": period.ends_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "summary": { "immediate_charge": "120.00", "monthly_price": "280.00" },
            "source": "own",
        })
    );
    let by_another_name = estimate(&api, "ann", " Professional ").await;
    assert_eq!(by_another_name.body, answer.body);
}

#[tokio::test]
async fn a_change_down_gives_back_and_charges_nothing_now() {
    let api = Api::start().await;
    subscriber(&api.db, "ann", "ai_project_manager", now()).await;

    let body = estimate(&api, "ann", "ai_buddy").await.body;

    assert_eq!(body["proration"]["net_charge"], "-140.00");
    assert_eq!(
        body["summary"],
        json!({ "immediate_charge": "0.00", "monthly_price": "0.00" })
    );
}

#[tokio::test]
async fn a_year_is_prorated_by_its_own_price_and_period() {
    let api = Api::start_with(crate::support::api::Setup {
        price_ids: vec![("STRIPE_REPX1_ANNUAL_PRICE_ID", "price_year")],
        ..Default::default()
    })
    .await;
    subscriber(&api.db, "ann", "repx1", now()).await;
    sqlx::query(
        "update subscriptions set price_ref = 'price_year', period_ends_at = period_starts_at + interval '30 days'",
    )
    .execute(&api.db)
    .await
    .unwrap();

    let body = estimate(&api, "ann", "repx2").await.body;

    let proration =
        json!({ "unused_credit": 48_500, "prorated_charge": 98_500, "net_charge": "500.00" });
    assert_eq!(body["proration"], proration);
    assert_eq!(body["summary"]["monthly_price"], "197.00");
}

#[tokio::test]
async fn in_a_trial_nothing_was_paid_that_could_be_given_back() {
    let api = Api::start().await;
    subscriber(&api.db, "ann", "ai_secretary", now()).await;
    sqlx::query("update subscriptions set status = 'trialing', trial_ends_at = period_ends_at")
        .execute(&api.db)
        .await
        .unwrap();

    let body = estimate(&api, "ann", "ai_project_manager").await.body;

    let nothing = json!({ "unused_credit": 0, "prorated_charge": 0, "net_charge": "0.00" });
    assert_eq!(body["proration"], nothing);
}

#[tokio::test]
async fn whoever_pays_for_nothing_yet_pays_a_whole_month() {
    let api = Api::start().await;
    subscriber(&api.db, "gone", "ai_project_manager", now()).await;
    sqlx::query("update subscriptions set status = 'canceled', ended_at = created_at")
        .execute(&api.db)
        .await
        .unwrap();
    for user in ["nobody", "gone"] {
        let body = estimate(&api, user, "ai_secretary").await.body;

        assert_eq!(body["current_tier"], "ai_buddy", "{user}");
        let whole = json!({ "unused_credit": 0, "prorated_charge": 4000, "net_charge": "40.00" });
        assert_eq!(body["proration"], whole, "{user}");
    }
    let other = estimate(&api, "nobody", "repx1").await.body;
    assert_eq!(other["current_tier"], "free");
}

#[tokio::test]
async fn a_plan_that_cannot_be_estimated_is_refused_with_the_reason() {
    let api = Api::start().await;
    subscriber(&api.db, "ann", "ai_secretary", now()).await;
    subscriber(&api.db, "bob", "ai_cto", now()).await;
    subscriber(&api.db, "eve", "sold_no_more", now()).await;
    let custom =
        "the price of ai_cto is agreed with each customer, so there is nothing to estimate from";
    let unknown =
        "The current subscription is for no tier there is, so there is nothing to estimate from";
    for (user, target, status, code, error) in [
        (
            "ann",
            "",
            400,
            "MISSING_PARAMETER",
            "target_tier is required",
        ),
        (
            "ann",
            "  ",
            400,
            "MISSING_PARAMETER",
            "target_tier is required",
        ),
        (
            "ann",
            "gold",
            400,
            "UNKNOWN_TIER",
            "there is no tier \"gold\"",
        ),
        // Of another product.
        (
            "ann",
            "repx1",
            400,
            "UNKNOWN_TIER",
            "there is no tier \"repx1\"",
        ),
        ("ann", "ai_cto", 400, "CUSTOM_PRICE", custom),
        ("ann", "enterprise", 400, "CUSTOM_PRICE", custom),
        (
            "ann",
            "admin",
            400,
            "TIER_NOT_FOR_SALE",
            "admin is not for sale",
        ),
        (
            "ann",
            "personal",
            400,
            "SAME_TIER",
            "ai_secretary is the tier that is held already",
        ),
        ("bob", "ai_secretary", 400, "CUSTOM_PRICE", custom),
        ("eve", "ai_secretary", 409, "CURRENT_TIER_UNKNOWN", unknown),
    ] {
        let answer = estimate(&api, user, target).await;

        assert_eq!(
            answer.status.as_u16(),
            status,
            "{user} {target}: {}",
            answer.text
        );
        assert_eq!(
            answer.body,
            json!({ "error": error, "code": code }),
            "{user} {target}"
        );
    }
    for body in [json!({}), json!({ "target_tier": null })] {
        let answer = api.post(ESTIMATE, &token("ann"), body).await;
        assert_eq!(answer.body["error"], "target_tier is required");
    }
}

/// What Stripe would charge for a change at some instant between these, to the second.
fn at_some_time(period: Span, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Value> {
    let seconds = from.timestamp()..=until.timestamp();
    seconds
        .map(|second| {
            let at = DateTime::from_timestamp(second, 0).unwrap();
            let proration = by_seconds(4_000, 28_000, period, at).unwrap();
            json!([
                proration.unused_credit_minor,
                proration.prorated_charge_minor
            ])
        })
        .collect()
}

#[tokio::test]
async fn stripe_is_asked_where_there_is_a_subscription_and_it_says_so() {
    let crm = Crm::new().await;
    let ann = crm.billing.customer("ann").await;
    crm.billing.pass(TimeDelta::days(10)).await;
    let subscription = crm
        .billing
        .stripe(&format!("subscriptions/{}", ann.subscription_id))
        .await;
    let item = &subscription["items"]["data"][0];
    let second = |name: &str| DateTime::from_timestamp(item[name].as_i64().unwrap(), 0).unwrap();
    let period = Span {
        starts_at: second("current_period_start"),
        ends_at: second("current_period_end"),
    };

    let from = crm.billing.now();
    let target = json!({ "target_tier": "ai_project_manager" });
    let body = crm.ask(Method::POST, ESTIMATE, "ann", Some(target)).await;

    assert_eq!(body["source"], "stripe", "{body}");
    let proration = &body["proration"];
    let found = json!([proration["unused_credit"], proration["prorated_charge"]]);
    let expected = at_some_time(period, from, crm.billing.now());
    assert!(expected.contains(&found), "{found} is none of {expected:?}");
    // Nothing was changed.
    let after = crm
        .billing
        .stripe(&format!("subscriptions/{}", ann.subscription_id))
        .await;
    assert_eq!(after["items"]["data"][0]["price"]["id"], SECRETARY);
    assert_ne!(SECRETARY, MANAGER);
}

#[tokio::test]
async fn where_stripe_does_not_answer_our_own_estimate_is_shown() {
    let crm = Crm::new().await;
    crm.billing.customer("ann").await;
    for (method, path, fault) in [
        ("POST", "create_preview", Fault::ErrorBefore { status: 500 }),
        ("POST", "create_preview", Fault::CutBeforeEffect),
        (
            "POST",
            "create_preview",
            Fault::TooManyRequests {
                retry_after_seconds: None,
            },
        ),
        (
            "POST",
            "create_preview",
            Fault::Refuse {
                status: 400,
                code: "invoice_upcoming_none".into(),
            },
        ),
        (
            "GET",
            "/v1/subscriptions/",
            Fault::Refuse {
                status: 404,
                code: "resource_missing".into(),
            },
        ),
    ] {
        crm.strike(method, path, fault.clone());
        let target = json!({ "target_tier": "ai_project_manager" });

        let body = crm.ask(Method::POST, ESTIMATE, "ann", Some(target)).await;

        assert_eq!(body["source"], "own", "{fault:?}: {body}");
        assert_eq!(body["proration"]["net_charge"], "240.00");
    }
}
