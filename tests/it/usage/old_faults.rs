//! The faults of the systems that came before, each with the test that shows it gone.
//!
//! | fault | shown by |
//! |---|---|
//! | B10 no authentication | `openapi::every_operation_asks_for_a_credential_…`, `proofs::isolation` |
//! | B11 clear-cache open without a key | `the_administrators_key_opens_clear_cache_and_nothing_else_does`, `access::old_callers_…` |
//! | B12 a cache for each process | `a_change_of_plan_is_seen_by_every_process_at_once` |
//! | B13 check, then track | `at_once::*`, `tracking::*`, `a_thousand_and_one_uses_are_all_summed` |
//! | B14 days counted by the month | `limits::a_subscribers_limits_count_in_the_billing_period_and_by_day` |
//! | B15 an unknown feature is allowed | `access::what_cannot_be_asked_is_refused_with_a_code` |
//! | B16 read, add, write | `at_once::fifteen_equal_reports_at_once_all_count` |
//! | B36, B37, B47 invoices touch usage | `no_invoice_changes_what_is_counted` |
//! | B38 unlimited is used up by one | `unlimited_has_no_overage` |
//! | B48 prices in the code | `plans::tests::a_tier_follows_from_its_price_alone` |
//! | B49 joined by e-mail | `access::a_user_is_found_by_their_address_…`, `story` |
//! | B50 limits that limit nothing | `rate_limits::*` |

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::{
    http::auth::Scope,
    usage::{How, Request, Rules, SOURCE_APP, carry_out},
    worker::Register,
};
use tollkeeper_jobs::usage::MicroUnits;

use super::{App, BASE};
use crate::support::{
    api::{Api, Setup, assert_enveloped},
    until,
    web::{Web, golden_files},
};

#[tokio::test]
async fn the_administrators_key_opens_clear_cache_and_nothing_else_does() {
    let setup = Setup {
        admin_key: Some("a key of the old system".to_owned()),
        ..Setup::default()
    };
    let api = Api::start_with(setup).await;
    let path = format!("{BASE}/clear-cache");
    for (key, status) in [
        ("a key of the old system", 200),
        ("a key of the old", 403),
        ("", 403),
    ] {
        let answer = api.post(&path, "", json!({ "adminKey": key })).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let answer = api
        .post(&path, "", json!({ "adminKey": "a key of the old system" }))
        .await;
    assert_eq!(answer.body["data"]["cleared"], true);
    let answer = api
        .call(
            Method::POST,
            &path,
            &api.key(&[Scope::All]).await,
            Some(json!({})),
            &[],
        )
        .await;
    assert_enveloped(&answer, 403, "FORBIDDEN", "Invalid admin key");
}

#[tokio::test]
async fn a_change_of_plan_is_seen_by_every_process_at_once() {
    let app = App::start().await;
    let second = Api::start_over(app.api.db.clone(), Setup::default()).await;
    app.api.subscriber("ann", "repx1", "active").await;
    let limit = async |api: &Api| {
        let body = json!({ "userId": "ann", "feature": "calls" });
        let answer = api
            .post(&format!("{BASE}/validate-access"), &app.key, body)
            .await;
        answer.body["data"]["limit"].clone()
    };
    assert_eq!(
        (limit(&app.api).await, limit(&second).await),
        (json!(100), json!(100))
    );

    sqlx::query("update subscriptions set tier = 'repx4'")
        .execute(&app.api.db)
        .await
        .unwrap();

    assert_eq!(
        (limit(&app.api).await, limit(&second).await),
        (json!(800), json!(800))
    );
}

#[tokio::test]
async fn a_thousand_and_one_uses_are_all_summed() {
    let app = App::start().await;
    let events: Vec<Value> = (0..1000)
        .map(|_| json!({ "feature": "ai_queries" }))
        .collect();
    app.post("track-usage", json!({ "userId": "ann", "events": events }))
        .await;
    app.track("ann", "ai_queries", 1).await;
    assert_eq!(app.used("ann", "ai_queries").await, 1001);
    let stats = app
        .api
        .get(&format!("{BASE}/usage-stats?userId=ann"), &app.key)
        .await;
    assert_eq!(stats.body["data"]["totalRecords"], 1001);
}

#[tokio::test]
async fn no_invoice_changes_what_is_counted() {
    let web = Web::start().await;
    let service = &web.service;
    let request = Request {
        account_id: "ann".into(),
        feature: "ai_queries".into(),
        quantity: MicroUnits::of_units(7),
        how: How::Track,
        source: SOURCE_APP,
        key: None,
        occurred_at: None,
        window: None,
        app_name: None,
        metadata: None,
    };
    let mut tx = service.db.begin().await.unwrap();
    carry_out(&mut tx, &Rules::of(&service.ctx), &[&request])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let picture = "select string_agg(c::text, '|' order by c::text) from usage_counters c";
    let before: String = service.value(picture).await;
    let worker = service.work(Register::all());

    let invoices = golden_files("webhooks/stripe/new", ".json")
        .into_iter()
        .filter(|(name, _)| name.contains("invoice."));
    let mut sent = 0;
    for (name, body) in invoices {
        let answer = web.stripe("/stripe/webhook", &body).await;
        assert_eq!(answer.status(), 200, "{name}");
        sent += 1;
    }
    until("every event is handled", async || {
        let left = "select count(*) from queue.jobs where kind = 'handle_stripe_event'";
        service.value::<i64>(left).await == 0
    })
    .await;
    worker.stop().await;

    assert!(sent >= 8);
    let after: String = service.value(picture).await;
    assert_eq!(after, before);
    assert_eq!(
        service
            .value::<i64>("select count(*) from usage_events")
            .await,
        1
    );
}

#[tokio::test]
async fn unlimited_has_no_overage() {
    let app = App::start().await;
    app.api.subscriber("vip", "repx5", "active").await;
    app.api.subscriber("cto", "ai_cto", "active").await;
    for (user, feature) in [("vip", "calls"), ("cto", "voice_minutes")] {
        app.track(user, feature, 1_000_000).await;
        let answer = app.ask(user, feature, 1).await;
        assert_eq!(answer["allowed"], true);
        assert_eq!(answer.get("overage"), None);
        assert_eq!(answer["remaining"], "unlimited");
    }
}
