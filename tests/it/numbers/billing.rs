//! What a number costs.

use chrono::TimeDelta;
use serde_json::json;
use tollkeeper_jobs::CloseDuePeriods;

use super::{Desk, RELEASE};
use crate::support::house::SECRETARY;

impl Desk {
    /// The period that runs ends, and is rated.
    async fn next_period(&self) {
        let end = "select max(ends_at) from billing_periods where account_id = 'ann'";
        let end: chrono::DateTime<chrono::Utc> = self.house.service.value(end).await;
        self.house
            .sandbox
            .advance(end + TimeDelta::minutes(30) - self.house.sandbox.now());
        self.house.take_in_all().await;
        let tick_at = self.house.sandbox.now();
        self.house
            .service
            .enqueue(&CloseDuePeriods { tick_at })
            .await;
        self.house.settle().await;
    }

    /// The fees of each period so far: how many, and what for each.
    async fn fees(&self) -> Vec<(i64, i64)> {
        sqlx::query_as(
            "select count(c.charge_id), coalesce(min(c.amount_minor), 0)::bigint
             from billing_periods p left join charges c on c.period_id = p.period_id and c.meter = 'number'
             where p.account_id = 'ann' and p.closed_at is not null and (p.terms->>'number_fee_minor')::bigint > 0
             group by p.period_id, p.starts_at order by p.starts_at",
        )
        .fetch_all(&self.house.service.db)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn one_more_number_costs_its_fee_once_a_period_and_nothing_after_its_release() {
    let desk = Desk::with(SECRETARY, |_| {}).await;
    let second = desk.on_sale("628", 1).await.remove(0);
    let bought = desk.buy("ann", &second).await;
    assert_eq!(bought.status, 200, "{}", bought.body);
    // Whoever sells it.
    let third = desk.dids(1).await.remove(0);
    let third = desk.order_did("ann", &third).await;
    assert_eq!(third.status, 200, "{}", third.body);

    desk.next_period().await;
    assert_eq!(desk.fees().await, [(3, 500)]);
    for sid in [&bought.body["sid"], &third.body["data"]["provider_sid"]] {
        let body = json!({ "phoneSid": sid });
        assert_eq!(desk.post("ann", RELEASE, body).await.status, 200);
    }
    desk.next_period().await;
    desk.next_period().await;

    assert_eq!(desk.fees().await, [(3, 500), (3, 500), (1, 500)]);
    desk.close().await;
}
