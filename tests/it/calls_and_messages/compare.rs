//! What was metered is compared with what the provider counted itself.

use chrono::{Days, NaiveTime, TimeDelta};
use serde_json::Value;
use tollkeeper::sandbox::{Fault, When};
use tollkeeper_jobs::{CompareUsageRecords, ReconcilePhoneLogs};

use super::house_of_ann;
use crate::support::{
    house::House,
    phone::{CALLER, sid},
};

/// It is so late on the next day.
pub async fn tomorrow_at(house: &House, time: &str) {
    let time: NaiveTime = time.parse().unwrap();
    let now = house.sandbox.now();
    let then = (now.date_naive() + Days::new(1)).and_time(time).and_utc();
    house.sandbox.advance(then - now);
}

pub async fn read_lists(house: &House) {
    let tick_at = house.sandbox.now();
    house.service.enqueue(&ReconcilePhoneLogs { tick_at }).await;
    house.settle().await;
}

async fn compare(house: &House) -> Vec<String> {
    let tick_at = house.sandbox.now();
    house
        .service
        .enqueue(&CompareUsageRecords { tick_at })
        .await;
    house.settle().await;
    house.findings().await
}

#[tokio::test]
async fn a_day_that_the_provider_counts_otherwise_is_told_with_both_figures_until_it_does_not() {
    let (house, web, phone) = house_of_ann().await;
    let nothing = Vec::<String>::new();
    tomorrow_at(&house, "19:30:00").await;
    let call = house.sandbox.take_call(&phone.number, CALLER, 61).unwrap();
    house.sandbox.put_through(&call, "+14155550177", 125);
    house
        .sandbox
        .take_message(&phone.number, CALLER, "hello")
        .unwrap();
    read_lists(&house).await;
    // The day is not over, and then its lists are not read yet.
    assert_eq!(compare(&house).await, nothing);
    tomorrow_at(&house, "00:20:00").await;
    assert_eq!(compare(&house).await, nothing);

    // Its own count is hours behind.
    read_lists(&house).await;
    assert_eq!(compare(&house).await, ["usage_differs"]);
    let detail: Value = house
        .service
        .value("select detail from findings where closed_at is null")
        .await;
    let figures = [
        "our_minutes",
        "their_minutes",
        "our_segments",
        "their_segments",
    ];
    assert_eq!(
        figures.map(|name| detail[name].as_i64()),
        [Some(5), Some(0), Some(1), Some(0)]
    );
    house.sandbox.advance(TimeDelta::hours(7));
    let away = Fault::ErrorBefore { status: 503 };
    house.strike("GET", "Usage/Records", When::First(2), away);
    // Of `calls`, `calls-inbound` and `calls-inbound-local` only one counts.
    assert_eq!(compare(&house).await, nothing);

    // A call over midnight is counted here when it ends, and there when it begins.
    tomorrow_at(&house, "00:05:00").await;
    house.sandbox.take_call(&phone.number, CALLER, 600).unwrap();
    tomorrow_at(&house, "07:00:00").await;
    read_lists(&house).await;
    assert_eq!(compare(&house).await, nothing);

    // A call that the provider knows nothing of stays a difference.
    phone
        .call(&web, &sid("CA", 7), "completed", Some("61"))
        .await;
    house.settle().await;
    tomorrow_at(&house, "07:00:00").await;
    read_lists(&house).await;
    assert_eq!(compare(&house).await, ["usage_differs"]);
    assert_eq!(compare(&house).await, ["usage_differs"]);
    assert_eq!(house.dead().await, nothing);
}
