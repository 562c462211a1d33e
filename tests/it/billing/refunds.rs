//! What is given back of a payment: refunds, credit notes and disputes, however often they are heard of.

use chrono::{DurationRound, TimeDelta};
use tollkeeper::sandbox::stripe::{ApiVersion, SignedUp};
use tollkeeper_jobs::PollStripeEvents;

use super::{Billing, ledger::balances};

impl Billing {
    /// The charge that paid a customer's last invoice.
    async fn last_charge(&self, who: &SignedUp) -> String {
        let charges = self
            .stripe(&format!("charges?customer={}", who.customer_id))
            .await;
        charges["data"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn refund(&self, charge: &str, amount: &str) {
        let form = [("charge", charge), ("amount", amount)];
        self.order(&["refunds"], &form).await;
    }

    /// Every event once more, the newest first, as if nobody had ever told us.
    async fn hear_again_backwards(&self) {
        let mut events = self.house.sandbox.events();
        events.reverse();
        self.house
            .service
            .execute("delete from webhooks where provider = 'stripe'")
            .await;
        for event in events {
            self.house.take_in(&event.id).await;
        }
        self.house.settle().await;
    }
}

/// Stripe tells the time in whole seconds: what is given back within that of the payment may be told before it.
const LATER: TimeDelta = TimeDelta::minutes(1);
const PAID: [(&str, i64); 2] = [("cash", 4000), ("subscription_revenue", -4000)];

#[tokio::test]
async fn refunds_are_entered_by_what_they_add_to_the_sum() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.pass(LATER).await;
    let charge = billing.last_charge(&ann).await;

    billing.refund(&charge, "1000").await;
    billing.pass(TimeDelta::seconds(1)).await;
    let after_one = [
        ("cash", 3000),
        ("refunds", 1000),
        ("subscription_revenue", -4000),
    ];
    assert_eq!(billing.balances("ann").await, balances(&after_one));
    // Two more, of which we hear at once.
    billing.refund(&charge, "500").await;
    billing.refund(&charge, "2500").await;
    billing.pass(TimeDelta::seconds(1)).await;

    let after_all = [("refunds", 4000), ("subscription_revenue", -4000)];
    assert_eq!(billing.balances("ann").await, balances(&after_all));
    let told = billing.told("ann").await;
    assert_eq!(told[2..], ["refund 1000", "refund 3000"]);
    let notified: Vec<String> = sqlx::query_scalar(
        "select data -> 'amount' ->> 'text' from notifications where type = 'payment.refunded' order by created_at",
    )
    .fetch_all(&billing.house.service.db)
    .await
    .unwrap();
    assert_eq!(notified, ["10.00 USD", "30.00 USD"]);
    billing.hear_again_backwards().await;
    assert_eq!(billing.balances("ann").await, balances(&after_all));
    assert_eq!(billing.told("ann").await, told);
    billing.check_calm().await;
}

#[tokio::test]
async fn a_dispute_is_a_finding_as_long_as_it_is_open_and_its_money_is_back_or_lost() {
    let billing = Billing::new().await;
    let (ann, ben) = (billing.customer("ann").await, billing.customer("ben").await);
    billing.pass(LATER).await;
    let mut disputes = Vec::new();
    for who in [&ann, &ben] {
        let charge = billing.last_charge(who).await;
        disputes.push(billing.house.sandbox.open_dispute(&charge).unwrap());
    }
    billing.pass(TimeDelta::seconds(1)).await;
    let open = [("disputes", 4000), ("subscription_revenue", -4000)];
    assert_eq!(billing.balances("ann").await, balances(&open));
    assert_eq!(billing.house.findings().await, ["payment_disputed"; 2]);

    assert!(billing.house.sandbox.close_dispute(&disputes[0], true));
    assert!(billing.house.sandbox.close_dispute(&disputes[1], false));
    billing.pass(TimeDelta::seconds(1)).await;

    let lost = [("dispute_losses", 4000), ("subscription_revenue", -4000)];
    for _ in 0..2 {
        assert_eq!(billing.balances("ann").await, balances(&PAID));
        assert_eq!(billing.balances("ben").await, balances(&lost));
        assert_eq!(
            billing.told("ann").await[2..],
            ["dispute_created 4000", "dispute_won 4000"]
        );
        assert_eq!(
            billing.told("ben").await[2..],
            ["dispute_created 4000", "dispute_lost 4000"]
        );
        billing.check_calm().await;
        billing.hear_again_backwards().await;
    }
}

#[tokio::test]
async fn a_credit_note_lowers_what_is_owed_or_is_the_customers() {
    let billing = Billing::new().await;
    let (ann, ben) = (billing.customer("ann").await, billing.customer("ben").await);
    billing.house.sandbox.let_payments_fail(&ann.customer_id);
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(2)).await;
    let id = async |who| {
        let invoice = billing.last_invoice(who).await;
        invoice["id"].as_str().unwrap().to_owned()
    };
    let (of_ann, of_ben) = (id(&ann).await, id(&ben).await);

    let unpaid = [("invoice", of_ann.as_str()), ("amount", "1500")];
    billing.order(&["credit_notes"], &unpaid).await;
    let paid = [
        ("invoice", of_ben.as_str()),
        ("amount", "1500"),
        ("credit_amount", "1500"),
    ];
    billing.order(&["credit_notes"], &paid).await;
    billing.pass(TimeDelta::seconds(1)).await;

    let revenue = [("subscription_revenue", -8000), ("usage_revenue", -500)];
    let owed = [("cash", 4000), ("credit_notes", 1500), ("receivable", 3000)];
    assert_eq!(
        billing.balances("ann").await,
        balances(&[&owed[..], &revenue].concat())
    );
    let credit = [
        ("cash", 8500),
        ("credit_notes", 1500),
        ("customer_balance", -1500),
    ];
    assert_eq!(
        billing.balances("ben").await,
        balances(&[&credit[..], &revenue].concat())
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn what_was_held_back_before_is_taken_up_by_a_poll() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let charge = billing.last_charge(&ann).await;
    billing.refund(&charge, "1000").await;
    let events = billing.house.sandbox.events();
    let refunded = events.last().unwrap();
    assert_eq!(refunded.event_type, "charge.refunded");
    // As the service left them that knew nothing of refunds; the other one nobody can read.
    let body = billing
        .house
        .sandbox
        .signed_event(&refunded.id, ApiVersion::Old, "whsec")
        .unwrap()
        .body;
    for (key, body) in [(refunded.id.as_str(), body), ("evt_strange", "{}".into())] {
        sqlx::query(
            "insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state)
             values (gen_random_uuid(), 'stripe', $1, 'charge.refunded', 'test', '{}', $2, 'held')",
        )
        .bind(key)
        .bind(body.as_bytes())
        .execute(&billing.house.service.db)
        .await
        .unwrap();
    }
    let poll = async || {
        let tick_at = billing.now();
        let service = &billing.house.service;
        service.enqueue(&PollStripeEvents { tick_at }).await;
        billing.house.settle().await;
    };

    poll().await;
    assert_eq!(billing.told("ann").await[2..], ["refund 1000"]);
    assert_eq!(billing.house.findings().await, ["unreadable_event"]);
    let runs = async || -> i64 {
        billing
            .house
            .service
            .value("select count(*) from queue.finished_jobs where kind = 'handle_stripe_event'")
            .await
    };
    let before = runs().await;
    poll().await;
    assert_eq!(runs().await, before, "what waits for a person waits");
    billing
        .house
        .service
        .execute("update findings set closed_at = now(), closed_why = 'read it'")
        .await;
    poll().await;
    assert_eq!(runs().await, before + 1);
    billing.house.worker.stop().await;
}

#[tokio::test]
async fn a_refund_that_comes_back_is_entered_and_somebody_is_told_to_pay_it_some_other_way() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.pass(LATER).await;
    let charge = billing.last_charge(&ann).await;
    let form = [("charge", charge.as_str()), ("amount", "1000")];
    let refund = billing.order(&["refunds"], &form).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    billing.pass(TimeDelta::days(5)).await;

    assert!(billing.house.sandbox.fail_refund(&refund));
    billing.pass(TimeDelta::seconds(1)).await;

    assert_eq!(billing.balances("ann").await, balances(&PAID));
    assert_eq!(billing.house.findings().await, ["refund_failed"]);
    billing.hear_again_backwards().await;
    assert_eq!(billing.balances("ann").await, balances(&PAID));
}

#[tokio::test]
async fn an_inquiry_that_becomes_a_dispute_is_entered_then() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.pass(LATER).await;
    let charge = billing.last_charge(&ann).await;
    let dispute = billing.house.sandbox.open_inquiry(&charge).unwrap();
    billing.pass(TimeDelta::seconds(1)).await;
    assert_eq!(billing.balances("ann").await, balances(&PAID));
    let is_inquiry = async || -> bool {
        billing
            .house
            .service
            .value("select (detail -> 'is_inquiry')::bool from findings where closed_at is null")
            .await
    };
    assert!(is_inquiry().await);

    assert!(billing.house.sandbox.escalate_dispute(&dispute));
    billing.pass(TimeDelta::seconds(1)).await;

    let open = [("disputes", 4000), ("subscription_revenue", -4000)];
    assert_eq!(billing.balances("ann").await, balances(&open));
    assert!(!is_inquiry().await);
}

/// Of the time before the service, or before its customer was known.
#[tokio::test]
async fn a_refund_of_an_old_payment_that_is_not_in_the_books_is_entered_all_the_same() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.pass(TimeDelta::days(3)).await;
    let charge = billing.last_charge(&ann).await;
    billing
        .house
        .service
        .execute("truncate invoices, ledger_transactions cascade")
        .await;

    billing.refund(&charge, "1000").await;
    billing.pass(TimeDelta::minutes(1)).await;
    billing.pass(TimeDelta::hours(1)).await;

    let after = [
        ("cash", 3000),
        ("refunds", 1000),
        ("subscription_revenue", -4000),
    ];
    assert_eq!(billing.balances("ann").await, balances(&after));
}

/// A database that was restored has lost what was acknowledged, and Stripe delivers it no more.
#[tokio::test]
async fn a_refund_that_the_database_lost_is_fetched_again() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.pass(LATER).await;
    let charge = billing.last_charge(&ann).await;
    let before = billing.balances("ann").await;
    billing.refund(&charge, "1000").await;
    let events = billing.house.sandbox.events();
    assert_eq!(events.last().unwrap().event_type, "charge.refunded");
    billing.house.pass(TimeDelta::days(20)).await;
    assert_eq!(billing.balances("ann").await, before);

    // The first poll of an hour.
    let tick_at = billing.now().duration_trunc(TimeDelta::hours(1)).unwrap();
    let service = &billing.house.service;
    service.enqueue(&PollStripeEvents { tick_at }).await;
    billing.house.settle().await;

    assert_eq!(billing.told("ann").await.last().unwrap(), "refund 1000");
}
