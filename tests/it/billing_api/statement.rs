//! The statement of the running period, which bills and previews have in common.

use chrono::{DateTime, TimeDelta, Utc};
use tollkeeper::{
    billing::{self, RunningPeriod},
    db::{accounts, billing::periods},
};
use tollkeeper_jobs::billing::waivers::Waiver;

use super::{golden, now, number, subscriber, used};
use crate::support::service::Service;

async fn statement(service: &Service, account_id: &str, now: DateTime<Utc>) -> RunningPeriod {
    let mut conn = service.db.acquire().await.unwrap();
    billing::statement(&mut conn, &service.ctx.catalogue, account_id, now)
        .await
        .unwrap()
}

fn lines(running: &RunningPeriod) -> Vec<(String, i64)> {
    let lines = running.lines.iter();
    lines
        .map(|line| (line.description.clone(), line.amount_minor))
        .collect()
}

#[tokio::test]
async fn a_statement_is_what_the_period_is_billed_when_it_is_over() {
    let service = Service::new().await;
    let now = now();
    let period = subscriber(&service.db, "ann", "ai_secretary", now).await;
    golden(&service.db, "ann", "+14155550100", now).await;
    used(
        &service.db,
        "ann",
        "sms",
        1_000,
        period.starts_at - TimeDelta::seconds(1),
    )
    .await;
    used(&service.db, "ann", "sms", 1_000, period.ends_at).await;
    number(&service.db, "ann", "+14155550101", period.ends_at).await;

    let running = statement(&service, "ann", now).await;

    assert_eq!(running.statement.total_minor, 65 + 15 + 500);
    assert_eq!(running.period.span.ends_at, period.ends_at);
    let over = period.ends_at + TimeDelta::hours(1);
    assert_eq!(lines(&running), billed(&service, "ann", now, over).await);
}

/// Let the account's running period end and be closed; what it is charged.
async fn billed(
    service: &Service,
    account_id: &str,
    now: DateTime<Utc>,
    over: DateTime<Utc>,
) -> Vec<(String, i64)> {
    let rules = billing::Rules::of(&service.ctx);
    let mut tx = service.db.begin().await.unwrap();
    accounts::lock_all(&mut tx, &[account_id]).await.unwrap();
    billing::align(&mut tx, rules.catalogue, &[account_id], now)
        .await
        .unwrap();
    let running = periods::at(&mut tx, account_id, now)
        .await
        .unwrap()
        .unwrap();
    sqlx::query("update subscriptions set synced_at = $1")
        .bind(over)
        .execute(&mut *tx)
        .await
        .unwrap();
    let closed = billing::close(&mut tx, rules, &[running.period_id], over)
        .await
        .unwrap();
    assert_eq!(closed.rated, 1, "{closed:?}");
    tx.commit().await.unwrap();
    sqlx::query_as("select description, amount_minor from charges where account_id = $1 order by meter, subject")
        .bind(account_id)
        .fetch_all(&service.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_look_at_a_statement_stores_nothing_and_is_the_same_once_the_period_is_stored() {
    let service = Service::new().await;
    let now = now();
    subscriber(&service.db, "ann", "ai_secretary", now).await;
    golden(&service.db, "ann", "+14155550100", now).await;

    let before = statement(&service, "ann", now).await;
    let stored: i64 = service.value("select count(*) from billing_periods").await;
    assert_eq!(stored, 0);

    let mut tx = service.db.begin().await.unwrap();
    billing::align(&mut tx, &service.ctx.catalogue, &["ann"], now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(statement(&service, "ann", now).await, before);
}

#[tokio::test]
async fn nothing_costs_in_a_trial_nor_without_a_subscription() {
    let service = Service::new().await;
    let now = now();
    subscriber(&service.db, "ann", "ai_secretary", now).await;
    service
        .execute("update subscriptions set trial_ends_at = period_ends_at")
        .await;
    subscriber(&service.db, "bob", "ai_secretary", now).await;
    service
        .execute("update subscriptions set status = 'canceled', ended_at = created_at where account_id = 'bob'")
        .await;
    for (account_id, number, waiver) in [
        ("ann", "+14155550100", Some(Waiver::Trial)),
        ("bob", "+14155550101", None),
    ] {
        golden(&service.db, account_id, number, now).await;

        let running = statement(&service, account_id, now).await;

        assert_eq!(running.period.waiver, waiver, "{account_id}");
        assert_eq!(running.statement.total_minor, 0, "{account_id}");
        assert_eq!(lines(&running), [], "{account_id}");
    }
}
