//! `GET /api/billing/history`.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::HISTORY;
use crate::support::api::{Api, token};

/// The nth invoice, made on the nth day.
async fn invoice(db: &PgPool, account_id: &str, nth: i32, status: &str, reason: Option<&str>) {
    sqlx::query(
        "insert into invoices (invoice_id, account_id, customer_ref, stripe_ref, is_own, status, billing_reason, number,
                               url, currency, total_minor, period_starts_at, period_ends_at, created_at, synced_at)
         values (gen_random_uuid(), $1, 'cus_' || $1, 'in_' || $1 || $2, $4 is null, $3, $4, 'N-' || $2,
                 'https://pay.example/' || $2, 'usd', 4580, '2026-09-15Z', '2026-10-15Z',
                 '2026-01-01Z'::timestamptz + make_interval(days => $2), now())",
    )
    .bind(account_id)
    .bind(nth)
    .bind(status)
    .bind(reason)
    .execute(db)
    .await
    .unwrap();
}

async fn event(db: &PgPool, account_id: &str, nth: i32, amount_minor: Option<i64>) {
    sqlx::query(
        "insert into billing_events (event_id, account_id, event_type, occasion, amount_minor, currency, description,
                                     occurred_at)
         values (gen_random_uuid(), $1, 'payment_succeeded', $2::text, $3, 'usd', 'event ' || $2,
                 '2026-01-01Z'::timestamptz + make_interval(days => $2))",
    )
    .bind(account_id)
    .bind(nth)
    .bind(amount_minor)
    .execute(db)
    .await
    .unwrap();
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_last_twelve_invoices_and_fifty_events_are_shown_newest_first() {
    let api = Api::start().await;
    for account_id in ["ann", "bob"] {
        api.account(account_id).await;
    }
    for nth in 1..=14 {
        invoice(&api.db, "ann", nth, "paid", Some("subscription_cycle")).await;
    }
    for nth in 1..=52 {
        event(&api.db, "ann", nth, None).await;
    }
    invoice(&api.db, "bob", 1, "paid", Some("subscription_cycle")).await;
    event(&api.db, "bob", 1, Some(1)).await;

    let body = api.get(HISTORY, &token("ann")).await.body;

    let ids = texts(&body["history"], "id");
    let expected: Vec<String> = (3..=14).rev().map(|nth| format!("in_ann{nth}")).collect();
    assert_eq!(ids, expected);
    let events = texts(&body["events"], "description");
    let expected: Vec<String> = (3..=52).rev().map(|nth| format!("event {nth}")).collect();
    assert_eq!(events, expected);
    let bobs = api.get(HISTORY, &token("bob")).await.body;
    assert_eq!(texts(&bobs["history"], "id"), ["in_bob1"]);
    assert_eq!(texts(&bobs["events"], "description"), ["event 1"]);
}

#[tokio::test]
async fn an_invoice_and_an_event_are_shown_with_their_amounts_as_text() {
    let api = Api::start().await;
    api.account("ann").await;
    invoice(&api.db, "ann", 2, "open", Some("subscription_cycle")).await;
    invoice(&api.db, "ann", 1, "paid", None).await;
    event(&api.db, "ann", 2, None).await;
    event(&api.db, "ann", 1, Some(580)).await;

    let body = api.get(HISTORY, &token("ann")).await.body;

    let invoice = |nth: i32, status: &str, description: &str| {
        json!({
            "id": format!("in_ann{nth}"),
            "amount": "45.80",
            "status": status,
            "description": description,
            "invoice_url": format!("https://pay.example/{nth}"),
            "period_start": "2026-09-15T00:00:00.000Z",
            "period_end": "2026-10-15T00:00:00.000Z",
            "created_at": format!("2026-01-0{}T00:00:00.000Z", nth + 1),
        })
    };
    let event = |nth: i32, amount: Option<&str>| {
        json!({
            "event_type": "payment_succeeded",
            "amount": amount,
            "description": format!("event {nth}"),
            "processed_at": format!("2026-01-0{}T00:00:00.000Z", nth + 1),
        })
    };
    assert_eq!(
        body,
        json!({
            "history": [
                invoice(2, "open", "Subscription renewed (N-2)"),
                invoice(1, "paid", "Usage (N-1)"),
            ],
            "events": [event(2, None), event(1, Some("5.80"))],
        })
    );
}

#[tokio::test]
async fn drafts_and_what_was_never_sent_are_no_history() {
    let api = Api::start().await;
    api.account("ann").await;
    for (nth, status) in [
        (1, "draft"),
        (2, "deleted"),
        (3, "void"),
        (4, "uncollectible"),
    ] {
        invoice(&api.db, "ann", nth, status, Some("subscription_cycle")).await;
    }

    let body = api.get(HISTORY, &token("ann")).await.body;

    assert_eq!(texts(&body["history"], "status"), ["uncollectible", "void"]);
}
