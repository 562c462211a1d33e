use chrono::TimeDelta;
use serde_json::{Value, json};

use super::*;
use crate::{
    billing::ledger::{InvoiceFacts, Posted, Refunds, of_refunds},
    stripe::{Invoice, Status, Subscription},
};

const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

fn parsed<T: serde::de::DeserializeOwned>(mut base: Value, fields: Value) -> T {
    let more = fields.as_object().unwrap().clone();
    base.as_object_mut().unwrap().extend(more);
    serde_json::from_value(base).unwrap()
}

fn text(event: &NewEvent) -> String {
    let amount = event.amount.as_ref().map(Amount::text);
    let amount = amount.map(|amount| format!(", {amount}"));
    format!(
        "{} {}: {}{}",
        event.event_type,
        event.occasion,
        event.description,
        amount.unwrap_or_default()
    )
}

#[track_caller]
fn check_invoice(fields: Value, usage_minor: i64, is_behind: bool, expected: &[&str]) {
    let base = json!({
        "id": "in_1", "number": "A-1", "currency": "usd", "total": 2980, "amount_due": 2980, "created": 1,
        "auto_advance": true,
    });
    let said: Invoice = parsed(base, fields);
    let facts = InvoiceFacts::of(&said, usage_minor, &[], NOW).unwrap();
    let news = InvoiceNews {
        said: &said,
        facts: &facts,
        is_behind,
        now: NOW,
    };
    let found: Vec<String> = of_invoice(&news).iter().map(text).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_invoice_tells_what_was_added_and_what_became_of_it() {
    let added = "overage_charges_added in_1: Overage charges added to invoice A-1, 0.80 USD";
    let paid = "payment_succeeded in_1: Payment received for invoice A-1, 29.80 USD";
    let failed = |attempt: i32| {
        format!(
            "payment_failed in_1:{attempt}: Payment of invoice A-1 failed (attempt {attempt}), 29.80 USD"
        )
    };
    check_invoice(json!({"status": "draft"}), 80, false, &[]);
    check_invoice(json!({"status": "open"}), 80, false, &[added]);
    check_invoice(json!({"status": "open"}), 0, false, &[]);
    check_invoice(
        json!({"status": "paid", "amount_paid": 2980, "attempt_count": 1}),
        80,
        false,
        &[added, paid],
    );
    check_invoice(
        json!({"status": "paid", "amount_paid": 2980, "attempt_count": 3}),
        0,
        false,
        &[&failed(1), &failed(2), paid],
    );
    check_invoice(
        json!({"status": "void", "attempt_count": 1}),
        0,
        false,
        &[
            &failed(1),
            "invoice_voided in_1: Invoice A-1 was voided, 29.80 USD",
        ],
    );
    check_invoice(
        json!({"status": "uncollectible", "attempt_count": 0}),
        0,
        false,
        &["invoice_uncollectible in_1: Invoice A-1 was written off, 29.80 USD"],
    );
    check_invoice(json!({"status": "paid", "amount_paid": 0}), 0, false, &[]);
}

#[test]
fn an_attempt_that_may_still_succeed_has_not_failed() {
    let failed = ["payment_failed in_1:1: Payment of invoice A-1 failed (attempt 1), 29.80 USD"];
    let open = |fields| {
        let base = json!({"status": "open", "attempt_count": 1});
        parsed::<Value>(base, fields)
    };
    check_invoice(open(json!({})), 0, false, &[]);
    check_invoice(open(json!({})), 0, true, &failed);
    check_invoice(open(json!({"auto_advance": false})), 0, false, &failed);
    let next = json!({"next_payment_attempt": 1_800_259_200});
    check_invoice(open(next), 0, false, &failed);
}

#[test]
fn a_refund_is_told_with_the_difference_to_the_one_before() {
    let refunds = Refunds {
        charge_ref: "ch_1",
        refunded_minor: 1500,
        posted_minor: 1000,
        seen_at: NOW,
    };
    let posting = of_refunds(&refunds, &Posted::default()).unwrap().unwrap();
    let event = refunded(&posting, "A-1", "usd");
    assert_eq!(
        text(&event),
        "refund ch_1:1500: Refund of 5.00 USD for invoice A-1, 5.00 USD"
    );
}

/// What is told of a subscription that was `before`: its status, its tier and whether it was to end.
#[track_caller]
fn check_subscription(
    before: Option<(&str, &str, bool)>,
    fields: Value,
    tier: Option<&str>,
    expected: &[&str],
) {
    let base = json!({
        "id": "sub_1", "customer": "cus_1", "status": "active", "created": 1,
        "current_period_start": 1_799_000_000, "current_period_end": 1_801_000_000,
    });
    let said: Subscription = parsed(base, fields);
    let status = before.map(|(status, ..)| Status::from(status));
    let before = before
        .zip(status.as_ref())
        .map(|((_, tier, ends_with_period), status)| Before {
            status,
            tier: Some(tier),
            ends_with_period,
        });
    let news = SubscriptionNews {
        said: &said,
        tier,
        before,
        currency: "usd",
        now: NOW,
    };
    let found: Vec<String> = of_subscription(&news).iter().map(text).collect();
    assert_eq!(found, expected);
}

const CREATED: &str = "subscription_created sub_1: Subscription created: pro, 0.00 USD";
const BACK: &str = "subscription_reactivated sub_1:2027-01-15T08:00:00Z: Subscription reactivated";

#[test]
fn a_subscription_is_told_of_from_when_it_was_paid_for() {
    check_subscription(None, json!({}), Some("pro"), &[CREATED]);
    check_subscription(None, json!({"status": "incomplete"}), Some("pro"), &[]);
    check_subscription(
        None,
        json!({"status": "incomplete_expired"}),
        Some("pro"),
        &[],
    );
    check_subscription(None, json!({}), None, &[]);
}

#[test]
fn a_subscription_that_is_to_end_may_be_taken_back() {
    let scheduled = "subscription_cancel_scheduled sub_1:2027-01-26T21:46:40Z: \
                     Subscription scheduled for cancellation on 2027-01-26T21:46:40Z";
    let was = Some(("active", "pro", false));
    let ends = json!({"cancel_at_period_end": true});
    check_subscription(was, ends.clone(), Some("pro"), &[CREATED, scheduled]);
    let at = json!({"cancel_at": 1_801_000_000});
    check_subscription(was, at, Some("pro"), &[CREATED, scheduled]);
    let was_to_end = Some(("active", "pro", true));
    check_subscription(was_to_end, ends, Some("pro"), &[CREATED, scheduled]);
    check_subscription(was_to_end, json!({}), Some("pro"), &[CREATED, BACK]);
    let was_paused = Some(("paused", "pro", false));
    check_subscription(was_paused, json!({}), Some("pro"), &[CREATED, BACK]);
    let over = json!({"status": "canceled", "cancel_at_period_end": true, "ended_at": 2});
    let deleted = "subscription_deleted sub_1: Subscription cancelled, downgraded to free tier";
    check_subscription(was_to_end, over, Some("pro"), &[CREATED, deleted]);
}

#[test]
fn another_tier_is_told_once_for_each_change() {
    let changed = "subscription_tier_changed sub_1:starter:pro:2027-01-15T08:00:00Z: Plan changed from starter to pro";
    check_subscription(
        Some(("active", "starter", false)),
        json!({}),
        Some("pro"),
        &[CREATED, changed],
    );
    check_subscription(
        Some(("active", "pro", false)),
        json!({}),
        Some("pro"),
        &[CREATED],
    );
    check_subscription(Some(("active", "pro", false)), json!({}), None, &[]);
}

#[test]
fn the_end_of_a_trial_is_told_when_it_is_near() {
    let trial = |hours: i64, more: Value| -> Value {
        let ends_at = (NOW + TimeDelta::hours(hours)).timestamp();
        parsed(json!({"status": "trialing", "trial_end": ends_at}), more)
    };
    let told = "trial_ending sub_1:2027-01-18T08:00:00Z: Trial ends on 2027-01-18T08:00:00Z";
    check_subscription(None, trial(72, json!({})), Some("pro"), &[CREATED, told]);
    check_subscription(None, trial(74, json!({})), Some("pro"), &[CREATED]);
    check_subscription(None, trial(0, json!({})), Some("pro"), &[CREATED]);
    let active = trial(72, json!({"status": "active"}));
    check_subscription(None, active, Some("pro"), &[CREATED]);
    let ends = trial(72, json!({"cancel_at": 1_800_259_200}));
    let scheduled = "subscription_cancel_scheduled sub_1:2027-01-18T08:00:00Z: \
                     Subscription scheduled for cancellation on 2027-01-18T08:00:00Z";
    check_subscription(None, ends, Some("pro"), &[CREATED, scheduled]);
}
