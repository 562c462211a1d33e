//! In whatever order the events of a renewal arrive, everything ends alike.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;
use tollkeeper::sandbox::stripe::{ApiVersion, SignUp};

use super::{Billing, MINUTES};
use crate::{
    story::orders,
    support::{
        house::SECRETARY,
        proof::{all_held, size},
    },
};

/// So many orders are tried at most, spread over all there are: each needs a customer of its own.
fn tried_max() -> usize {
    size(16, 720)
}

/// Everything that billing left behind for one account, but for ids and times.
const STATE: &str = "
select line from (
    select format('invoice %s %s %s, paid %s', billing_reason, status, total_minor, paid_minor) as line
    from invoices where account_id = $1
    union all
    select format('charge %s %s of revision %s, on an invoice: %s', meter, amount_minor, revision, invoice_id is not null)
    from charges where account_id = $1
    union all
    select format('%s: %s %s', t.kind, e.ledger_account, e.debit_minor - e.credit_minor)
    from ledger_transactions t join ledger_entries e using (transaction_id) where t.account_id = $1
    union all
    select format('told: %s %s', event_type, amount_minor) from billing_events where account_id = $1
    union all
    select format('notified: %s %s', type, data -> 'amount' ->> 'text') from notifications where account_id = $1
    union all
    select format('subscription %s until %s', status, period_ends_at::date) from subscriptions where account_id = $1
    union all
    select format('telephony %s', status) from telephony where account_id = $1
) lines order by line";

/// By customer, the events there are beyond the first ones so many.
fn events_after(billing: &Billing, known: usize) -> BTreeMap<String, Vec<String>> {
    let mut by_customer: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in billing.house.sandbox.events().into_iter().skip(known) {
        let signed = billing
            .house
            .sandbox
            .signed_event(&event.id, ApiVersion::New, "whsec")
            .unwrap();
        let body: Value = serde_json::from_str(&signed.body).unwrap();
        if let Some(customer) = body["data"]["object"]["customer"].as_str() {
            let of_customer = by_customer.entry(customer.to_owned()).or_default();
            of_customer.push(event.id);
        }
    }
    by_customer
}

#[tokio::test]
async fn every_order_of_a_renewals_events_each_twice_ends_in_the_same_tables() {
    let billing = Billing::new().await;
    for customer in 0..tried_max() {
        let who = SignUp {
            user_id: format!("user-{customer}"),
            email: format!("user-{customer}@example.com"),
            price_id: SECRETARY.into(),
            ..SignUp::default()
        };
        billing.house.sandbox.sign_up(&who).unwrap();
    }
    billing.house.take_in_all().await;
    for customer in 0..tried_max() {
        billing
            .uses(&format!("user-{customer}"), MINUTES, 150)
            .await;
    }
    let known = billing.house.sandbox.events().len();
    let end = billing.period_end("user-0").await;
    // The last sign-up was a moment later.
    let over = end + TimeDelta::hours(2) - billing.now();
    billing.house.sandbox.advance(over);
    let renewals = events_after(&billing, known);
    let count = renewals.values().next().unwrap().len();
    assert!(count >= 5, "{count}");
    assert!(renewals.values().all(|events| events.len() == count));
    let all = orders(count);
    let tried: Vec<&Vec<usize>> = all
        .iter()
        .step_by(all.len().div_ceil(tried_max()))
        .collect();

    for place in 0..count {
        for (events, order) in renewals.values().zip(tried.iter().cycle()) {
            for _ in 0..2 {
                billing.house.take_in(&events[order[place]]).await;
            }
        }
        billing.house.settle().await;
    }
    billing.timetable().await;
    billing.house.take_in_all().await;

    let mut ends: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for customer in 0..tried_max() {
        let user = format!("user-{customer}");
        let state = sqlx::query_scalar(STATE)
            .bind(&user)
            .fetch_all(&billing.house.service.db)
            .await
            .unwrap();
        ends.entry(state).or_default().push(user);
    }
    assert_eq!(ends.len(), 1, "{ends:#?}");
    billing.check_calm().await;
    let alike = ends.into_values().next().unwrap_or_default().len();
    let unit = "orders of a renewal that end alike";
    all_held("orders_of_a_renewal", alike, unit, tried_max());
}
