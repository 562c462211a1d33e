use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::notification::is_type;

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// One of each kind.
pub(crate) fn examples() -> [NewNotification; 6] {
    let now = at("2026-11-20T10:00:00Z");
    let period = Span {
        starts_at: at("2026-10-20T10:00:00Z"),
        ends_at: now,
    };
    let due_at = at("2026-11-20T11:00:00Z");
    let lines = [
        ("Voice overage: 50 minutes @ $0.0130/min".to_owned(), 65),
        ("Phone number".to_owned(), 515),
    ];
    let suspended_at = Some(at("2026-11-25T10:00:00Z"));
    let next_at = Some(at("2026-11-23T10:00:00Z"));
    let url = Some("https://invoice.stripe.com/i/acct_1/live_1");
    [
        trial_ending("ann", "sub_1", at("2026-12-03T10:00:00Z")),
        invoice_upcoming("ann", "sub_1", period, due_at, 580, "usd", &lines),
        payment_failed("ann", "in_1", 1, 9700, "usd", next_at, suspended_at),
        receipt("ann", "in_1", Some("AB12-0001"), 9700, "USD", due_at, url),
        cancellation_scheduled("ann", "sub_1", at("2026-12-20T10:00:00Z")),
        downgraded("ann", "sub_1", "repx3", "repx1", now),
    ]
}

#[track_caller]
fn check(told: &NewNotification, kind: &str, occasion: &str, data: Value) {
    assert_eq!(
        (told.kind.as_str(), told.occasion.as_str()),
        (kind, occasion)
    );
    assert_eq!(told.data, data, "{kind}");
    assert_eq!(told.account_id, "ann");
}

#[test]
fn a_refund_says_what_it_is_and_what_all_of_them_are() {
    let told = refunded("ann", "in_1", "ch_1", 500, 1500, "usd");
    let amount =
        |minor: i64, text: &str| json!({ "minor": minor, "currency": "usd", "text": text });
    let data = json!({
        "userId": "ann", "invoiceId": "in_1", "amount": amount(500, "5.00 USD"),
        "refundedInAll": amount(1500, "15.00 USD"),
    });
    check(&told, "payment.refunded", "ch_1/1500", data);
}

/// Types, occasions and data as they are stored and as README shows them: never changed, only added to.
#[test]
fn each_kind_is_stored_like_this() {
    let [trial, upcoming, failed, receipt, cancelled, downgraded] = examples();
    check(
        &trial,
        "trial.ending",
        "sub_1/2026-12-03T10:00:00Z",
        json!({ "userId": "ann", "subscriptionId": "sub_1", "trialEndsAt": "2026-12-03T10:00:00Z" }),
    );
    check(
        &upcoming,
        "invoice.upcoming",
        "sub_1/2026-10-20T10:00:00Z",
        json!({
            "userId": "ann", "subscriptionId": "sub_1",
            "periodStartsAt": "2026-10-20T10:00:00Z", "periodEndsAt": "2026-11-20T10:00:00Z",
            "dueAt": "2026-11-20T11:00:00Z",
            "overage": { "minor": 580, "currency": "usd", "text": "5.80 USD" },
            "lines": [
                { "text": "Voice overage: 50 minutes @ $0.0130/min",
                  "amount": { "minor": 65, "currency": "usd", "text": "0.65 USD" } },
                { "text": "Phone number", "amount": { "minor": 515, "currency": "usd", "text": "5.15 USD" } },
            ],
        }),
    );
    check(
        &failed,
        "payment.failed",
        "in_1/1",
        json!({
            "userId": "ann", "invoiceId": "in_1", "attempt": 1,
            "amount": { "minor": 9700, "currency": "usd", "text": "97.00 USD" },
            "nextAttemptAt": "2026-11-23T10:00:00Z", "telephonySuspendedAt": "2026-11-25T10:00:00Z",
        }),
    );
    check(
        &receipt,
        "payment.received",
        "in_1",
        json!({
            "userId": "ann", "invoiceId": "in_1", "number": "AB12-0001",
            "amount": { "minor": 9700, "currency": "usd", "text": "97.00 USD" },
            "paidAt": "2026-11-20T11:00:00Z", "url": "https://invoice.stripe.com/i/acct_1/live_1",
        }),
    );
    check(
        &cancelled,
        "subscription.cancellation_scheduled",
        "sub_1/2026-12-20T10:00:00Z",
        json!({ "userId": "ann", "subscriptionId": "sub_1", "endsAt": "2026-12-20T10:00:00Z" }),
    );
    check(
        &downgraded,
        "subscription.downgraded",
        "sub_1/repx3/repx1/2026-11-20T10:00:00Z",
        json!({
            "userId": "ann", "subscriptionId": "sub_1", "fromTier": "repx3", "toTier": "repx1",
            "at": "2026-11-20T10:00:00Z",
        }),
    );
}

#[test]
fn the_kinds_are_types_and_no_two_are_alike() {
    let kinds: BTreeSet<String> = examples().map(|told| told.kind).into();
    assert_eq!(kinds.len(), 6);
    assert!(kinds.iter().all(|kind| is_type(kind)), "{kinds:?}");
}

/// What it is about makes a notification this one; what is said of it does not.
#[test]
fn the_same_thing_seen_again_has_the_same_occasion_and_another_one_another() {
    let now = at("2026-11-20T10:00:00Z");
    let later = at("2026-11-27T10:00:00Z");
    let upcoming = |starts_at, overage| {
        let ends_at = at("2027-01-01T00:00:00Z");
        let period = Span { starts_at, ends_at };
        invoice_upcoming("ann", "sub_1", period, now, overage, "usd", &[]).occasion
    };
    let failed =
        |attempt, next_at| payment_failed("ann", "in_1", attempt, 1, "usd", next_at, None).occasion;
    let trial = |ends_at| trial_ending("ann", "sub_1", ends_at).occasion;
    let cancelled = |ends_at| cancellation_scheduled("ann", "sub_1", ends_at).occasion;
    let smaller = |to_tier, at| downgraded("ann", "sub_1", "repx3", to_tier, at).occasion;
    let paid = |invoice, at| receipt("ann", invoice, None, 1, "usd", at, None).occasion;

    assert_eq!(upcoming(now, 1), upcoming(now, 2));
    assert_ne!(upcoming(now, 1), upcoming(later, 1));
    assert_eq!(failed(1, None), failed(1, Some(now)));
    assert_ne!(failed(1, None), failed(2, None));
    assert_ne!(trial(now), trial(later));
    assert_ne!(cancelled(now), cancelled(later));
    assert_ne!(smaller("repx1", now), smaller("repx2", now));
    assert_ne!(smaller("repx1", now), smaller("repx1", later));
    assert_eq!(paid("in_1", now), paid("in_1", later));
    assert_ne!(paid("in_1", now), paid("in_2", now));
    let with_fraction = now + chrono::TimeDelta::milliseconds(250);
    assert_eq!(trial(now), trial(with_fraction));
}

#[test]
fn stored_data_reads_back() {
    let [trial, upcoming, failed, receipt, cancelled, downgraded] = examples();
    fn again<T: Serialize + serde::de::DeserializeOwned>(told: NewNotification) {
        let read: T = serde_json::from_value(told.data.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), told.data);
    }
    again::<TrialEnding>(trial);
    again::<InvoiceUpcoming>(upcoming);
    again::<PaymentFailed>(failed);
    again::<Receipt>(receipt);
    again::<CancellationScheduled>(cancelled);
    again::<Downgraded>(downgraded);
}
