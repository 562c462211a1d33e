//! `GET` and `POST /api/billing/usage`.

use chrono::{Datelike, SecondsFormat, TimeDelta};
use serde_json::json;

use super::{USAGE, golden, now, number, subscriber, used};
use crate::support::api::{Api, token};

#[tokio::test]
async fn the_running_period_is_shown_with_what_it_costs_so_far() {
    let api = Api::start().await;
    let now = now();
    let period = subscriber(&api.db, "ann", "ai_secretary", now).await;
    golden(&api.db, "ann", "+14155550100", now).await;
    used(&api.db, "ann", "emails", 7, now).await;
    // Before the period, although perhaps within the calendar's month.
    used(
        &api.db,
        "ann",
        "sms",
        900,
        period.starts_at - TimeDelta::seconds(1),
    )
    .await;

    let text = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let expected = json!({
        "tier": "ai_secretary",
        "period": { "start": text(period.starts_at), "end": text(period.ends_at) },
        "usage": { "voice_minutes": 150, "sms_messages": 120, "email_count": 7 },
        "limits": {
            "voice_minutes": 100, "sms_messages": 100, "email_limit": -1, "has_voice": true, "has_sms": true,
        },
        "overages": { "voice_minutes": 50, "sms_messages": 20 },
        "costs": {
            "voice_overage": "0.65", "sms_overage": "0.15", "phone_number": "5.00", "total_overage": "5.80",
        },
        "usage_percentages": { "voice": 150, "sms": 120 },
        "waiver": null,
    });
    let got = api.get(USAGE, &token("ann")).await;
    assert_eq!(got.body, expected);
    let posted = api.post(USAGE, &token("ann"), json!({})).await;
    assert_eq!(posted.body, expected);
}

#[tokio::test]
async fn without_a_limit_nothing_is_beyond_and_the_percentage_is_0() {
    let api = Api::start().await;
    let now = now();
    subscriber(&api.db, "ann", "ai_cto", now).await;
    golden(&api.db, "ann", "+14155550100", now).await;

    let body = api.get(USAGE, &token("ann")).await.body;

    assert_eq!(body["usage"]["voice_minutes"], 150);
    assert_eq!(body["limits"]["voice_minutes"], -1);
    assert_eq!(body["limits"]["has_sms"], true);
    assert_eq!(
        body["overages"],
        json!({ "voice_minutes": 0, "sms_messages": 0 })
    );
    assert_eq!(body["usage_percentages"], json!({ "voice": 0, "sms": 0 }));
    assert_eq!(body["costs"]["total_overage"], "5.00");
}

#[tokio::test]
async fn a_plan_without_telephony_units_answers_in_the_same_shape() {
    let api = Api::start().await;
    let now = now();
    subscriber(&api.db, "ann", "repx2", now).await;
    number(&api.db, "ann", "+14155550100", now).await;
    used(&api.db, "ann", "emails", 3, now).await;

    let body = api.get(USAGE, &token("ann")).await.body;

    assert_eq!(body["tier"], "repx2");
    assert_eq!(
        body["usage"],
        json!({ "voice_minutes": 0, "sms_messages": 0, "email_count": 3 })
    );
    assert_eq!(
        body["limits"],
        json!({ "voice_minutes": 0, "sms_messages": 0, "email_limit": 50, "has_voice": false, "has_sms": false })
    );
    assert_eq!(body["costs"]["total_overage"], "0.00");
}

#[tokio::test]
async fn a_trial_costs_nothing_and_says_why() {
    let api = Api::start().await;
    let now = now();
    subscriber(&api.db, "ann", "ai_secretary", now).await;
    golden(&api.db, "ann", "+14155550100", now).await;
    sqlx::query("update subscriptions set status = 'trialing', trial_ends_at = period_ends_at")
        .execute(&api.db)
        .await
        .unwrap();

    let body = api.get(USAGE, &token("ann")).await.body;

    assert_eq!(body["overages"]["voice_minutes"], 50);
    assert_eq!(body["costs"]["total_overage"], "0.00");
    assert_eq!(body["waiver"], "trial");
}

#[tokio::test]
async fn whoever_pays_for_nothing_has_the_months_of_the_calendar() {
    let api = Api::start().await;

    let body = api.get(USAGE, &token("nobody-knows-them")).await.body;

    let today = now().date_naive();
    let first = today.with_day(1).unwrap();
    assert_eq!(body["period"]["start"], format!("{first}T00:00:00.000Z"));
    assert_eq!(body["tier"], "free");
    assert_eq!(body["costs"]["total_overage"], "0.00");
    let stored: i64 = sqlx::query_scalar("select count(*) from billing_periods")
        .fetch_one(&api.db)
        .await
        .unwrap();
    assert_eq!(stored, 0);
}
