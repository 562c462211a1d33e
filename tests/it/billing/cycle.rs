//! A cycle ends: what was used beyond the plan is on its own invoice.

use chrono::TimeDelta;
use tollkeeper::sandbox::{Fault, Provider, Rule, When};

use super::{Billing, Item, MESSAGES, MINUTES};
use crate::support::{
    phone::{Phone, sid},
    until,
};

fn item(description: &str, amount: i64) -> Item {
    Item {
        description: description.into(),
        amount,
    }
}

#[tokio::test]
async fn overage_is_on_the_draft_of_its_own_cycle_to_the_cent() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.uses("ann", MESSAGES, 120).await;

    billing.pass_end("ann", TimeDelta::seconds(30)).await;
    billing.pass(TimeDelta::minutes(11)).await;

    let invoices = billing.invoices(&ann).await;
    let cycle = &invoices[1];
    assert_eq!(cycle["status"], "draft");
    let number = billing.house.sandbox.numbers()[0].phone_number.clone();
    let expected = [
        item(&format!("Phone number: {number}"), 500),
        item("SMS overage: 20 messages @ $0.0075/msg", 15),
        item("Voice overage: 50 minutes @ $0.0130/min", 65),
    ];
    assert_eq!(billing.items(cycle).await, expected);

    billing.pass(TimeDelta::hours(2)).await;
    let cycle = &billing.invoices(&ann).await[1];
    assert_eq!(
        (&cycle["status"], &cycle["total"]),
        (&"paid".into(), &4580.into())
    );
    billing.timetable().await;
    assert_eq!(billing.billed(&ann).await, 580);
    billing.check_calm().await;
}

#[tokio::test]
async fn who_cancels_is_billed_what_they_used_on_an_invoice_of_its_own() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.pass(TimeDelta::days(3)).await;
    billing.cancel(&ann).await;

    billing.pass(TimeDelta::minutes(11)).await;

    let invoices = billing.invoices(&ann).await;
    let last = invoices.last().unwrap();
    assert_eq!(last["billing_reason"], "manual");
    assert_eq!(
        (&last["status"], &last["total"]),
        (&"paid".into(), &565.into())
    );
    billing.timetable().await;
    assert_eq!(billing.billed(&ann).await, 565);
    billing.check_calm().await;
}

#[tokio::test]
async fn a_draft_that_nobody_told_us_of_is_found_and_one_that_is_gone_is_made_up_for() {
    let billing = Billing::new().await;
    let (ann, ben) = (billing.customer("ann").await, billing.customer("ben").await);
    for user in ["ann", "ben"] {
        billing.uses(user, MINUTES, 150).await;
    }
    // No event of the renewal arrives at all.
    let end = billing.period_end("ann").await;
    billing
        .house
        .sandbox
        .advance(end + TimeDelta::minutes(15) - billing.now());
    billing.timetable().await;
    let of_ann = billing.items(&billing.invoices(&ann).await[1]).await;
    assert_eq!(of_ann.len(), 2, "{of_ann:?}");

    billing.house.sandbox.advance(TimeDelta::days(3));
    billing.timetable().await;

    assert_eq!(
        (billing.billed(&ann).await, billing.billed(&ben).await),
        (565, 565)
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn usage_at_the_seam_of_two_periods_is_billed_with_the_one_it_occurred_in() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let end = billing.period_end("ann").await;
    let second = TimeDelta::seconds(1);
    billing.pass_end("ann", TimeDelta::minutes(5)).await;
    billing
        .uses_at("ann", MINUTES, 110, "before", end - second)
        .await;
    billing.uses_at("ann", MINUTES, 120, "at", end).await;
    billing
        .uses_at("ann", MINUTES, 1, "after", end + second)
        .await;

    billing.pass(TimeDelta::minutes(10)).await;
    let first = billing.items(&billing.invoices(&ann).await[1]).await;
    assert!(
        first.contains(&item("Voice overage: 10 minutes @ $0.0130/min", 13)),
        "{first:?}"
    );

    billing.pass(TimeDelta::hours(1)).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    let second = billing.items(&billing.invoices(&ann).await[2]).await;
    assert!(
        second.contains(&item("Voice overage: 21 minutes @ $0.0130/min", 27)),
        "{second:?}"
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn late_usage_is_billed_once_on_an_invoice_of_its_own_or_with_the_next() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let end = billing.period_end("ann").await;
    billing.uses("ann", MINUTES, 100).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(25)).await;

    // A trifle waits for the next invoice.
    billing
        .uses_at("ann", MINUTES, 10, "trifle", end - TimeDelta::hours(1))
        .await;
    billing.pass(TimeDelta::days(1)).await;
    billing.timetable().await;
    assert_eq!(billing.billed(&ann).await, 500);
    // 50 more are worth one.
    billing
        .uses_at("ann", MINUTES, 50, "more", end - TimeDelta::hours(1))
        .await;
    billing.pass(TimeDelta::days(1)).await;
    billing.timetable().await;
    assert_eq!(billing.billed(&ann).await, 500 + 78);
    let own = billing.invoices(&ann).await.pop().unwrap();
    assert_eq!(
        (&own["billing_reason"], &own["status"]),
        (&"manual".into(), &"paid".into())
    );

    billing
        .uses_at("ann", MINUTES, 1, "late", end - TimeDelta::hours(1))
        .await;
    billing.pass(TimeDelta::days(1)).await;
    billing.timetable().await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.timetable().await;
    let told = billing
        .items(billing.invoices(&ann).await.last().unwrap())
        .await;
    assert!(
        told.iter()
            .any(|item| item.amount == 1 && item.description.contains("correction")),
        "{told:?}"
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn however_late_a_use_is_told_of_it_is_billed_once() {
    let billing = Billing::new().await;
    let lates = [
        ("a-second", TimeDelta::seconds(1)),
        ("a-day", TimeDelta::hours(25)),
        ("forty-days", TimeDelta::days(40)),
        ("seventy-days", TimeDelta::days(70)),
    ];
    let mut customers = Vec::new();
    for (user, late) in lates {
        let who = billing.customer(user).await;
        customers.push((user, who, billing.period_end(user).await, late));
    }
    for (user, _, end, late) in &customers {
        while billing.now() < *end + *late {
            let step = (*end + *late - billing.now()).min(TimeDelta::days(6));
            billing.pass(step).await;
        }
        // A second before the month was over, which is a hundred minutes beyond what is included.
        billing
            .uses_at(user, MINUTES, 200, user, *end - TimeDelta::seconds(1))
            .await;
        billing.timetable().await;
    }
    for _ in 0..6 {
        billing.pass(TimeDelta::days(6)).await;
        billing.timetable().await;
    }

    for (user, who, ..) in &customers {
        let mut minutes = Vec::new();
        for invoice in billing.invoices(who).await {
            let items = billing.items(&invoice).await;
            minutes.extend(
                items
                    .into_iter()
                    .map(|item| item.amount)
                    .filter(|amount| *amount != 500),
            );
        }
        assert_eq!(minutes, [130], "{user}");
    }
    billing.check_calm().await;
}

#[tokio::test]
async fn copies_of_a_use_and_of_every_event_bill_nothing_twice() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    for _ in 0..3 {
        billing
            .uses_at("ann", MINUTES, 150, "CA1", billing.now())
            .await;
    }
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    for _ in 0..2 {
        billing.timetable().await;
        billing.house.take_in_all().await;
    }
    assert_eq!(billing.billed(&ann).await, 565);
    billing.check_calm().await;
}

#[tokio::test]
async fn a_trifle_that_no_invoice_came_by_for_is_told_to_a_person_after_two_months() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 100).await;
    billing.pass(TimeDelta::days(3)).await;
    let used_at = billing.now() - TimeDelta::hours(1);
    billing.cancel(&ann).await;
    billing.pass(TimeDelta::minutes(11)).await;
    assert_eq!(billing.billed(&ann).await, 500);

    billing.uses_at("ann", MINUTES, 10, "late", used_at).await;
    billing.pass(TimeDelta::days(2)).await;
    billing.timetable().await;
    billing.check_calm().await;
    billing.pass(TimeDelta::days(61)).await;
    billing.timetable().await;

    assert_eq!(billing.billed(&ann).await, 500);
    assert_eq!(billing.house.findings().await, ["owed_for_long"]);
}

#[tokio::test]
async fn a_failure_that_stripe_keeps_under_a_key_delays_no_final_invoice() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.pass(TimeDelta::days(3)).await;
    let kept = Fault::ErrorBefore { status: 500 };
    let rule = Rule::on(Provider::Stripe, "POST", "/finalize", When::First(1), kept);
    billing.house.sandbox.add_rules(vec![rule]);
    billing.cancel(&ann).await;

    billing.pass(TimeDelta::minutes(11)).await;

    let last = billing.last_invoice(&ann).await;
    assert_eq!(
        (&last["status"], &last["total"]),
        (&"paid".into(), &500.into())
    );
    let calls = billing.house.sandbox.calls();
    let asked = calls
        .iter()
        .filter(|call| call.path.ends_with("/finalize"))
        .count();
    assert_eq!(asked, 2, "the second request is no repeat of the first");
    billing.check_calm().await;
}

#[tokio::test]
async fn an_own_invoice_that_stripe_tells_of_before_it_answers_is_the_one_that_was_planned() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.pass(TimeDelta::days(3)).await;
    billing.cancel(&ann).await;
    let cut = Fault::CutAfterEffect;
    let rule = Rule::on(Provider::Stripe, "POST", "/invoices", When::Always, cut);
    billing.house.sandbox.add_rules(vec![rule]);
    billing.house.sandbox.advance(TimeDelta::minutes(11));
    until("it is told of", async || {
        for event in billing.house.sandbox.events() {
            billing.house.take_in(&event.id).await;
        }
        let told = "select exists (select 1 from invoices where billing_reason = 'manual')";
        let db = &billing.house.service.db;
        sqlx::query_scalar(told).fetch_one(db).await.unwrap()
    })
    .await;
    billing.house.sandbox.clear_rules();

    billing.pass(TimeDelta::minutes(11)).await;

    let last = billing.last_invoice(&ann).await;
    assert_eq!(
        (&last["status"], &last["total"]),
        (&"paid".into(), &500.into())
    );
    let kept: Vec<(String, bool)> =
        sqlx::query_as("select stripe_ref, is_own from invoices where billing_reason = 'manual'")
            .fetch_all(&billing.house.service.db)
            .await
            .unwrap();
    assert_eq!(kept, [(last["id"].as_str().unwrap().to_owned(), true)]);
    billing.check_calm().await;
}

#[tokio::test]
async fn minutes_that_twilio_told_of_are_billed_once_and_not_those_of_the_next_month() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let web = billing.house.web();
    let phone = Phone::of(&billing.house.sandbox, "ann");
    // 151 minutes, each begun one counts; told twice, the end before the beginning.
    for (nth, seconds) in [("3600"), ("3600"), ("1801")].into_iter().enumerate() {
        let call = sid("CA", nth);
        for _ in 0..2 {
            phone.call(&web, &call, "completed", Some(seconds)).await;
            phone.call(&web, &call, "ringing", None).await;
        }
    }
    billing.house.settle().await;
    billing.pass_end("ann", TimeDelta::seconds(30)).await;
    phone
        .call(&web, &sid("CA", 9), "completed", Some("6000"))
        .await;
    billing.pass(TimeDelta::minutes(11)).await;

    let items = billing.items(&billing.invoices(&ann).await[1]).await;
    let voice: Vec<_> = items
        .iter()
        .filter(|item| item.description.starts_with("Voice"))
        .collect();
    assert_eq!(
        voice,
        [&item("Voice overage: 51 minutes @ $0.0130/min", 66)]
    );
    billing.pass(TimeDelta::hours(2)).await;
    billing.check_calm().await;
}

#[tokio::test]
async fn who_used_more_than_can_be_billed_keeps_nobody_else_from_being_billed() {
    let billing = Billing::new().await;
    let (ann, ben) = (billing.customer("ann").await, billing.customer("ben").await);
    billing.uses("ben", MINUTES, 150).await;
    // Each fits in a window of its own, and both lie in one period.
    let service = &billing.house.service;
    sqlx::query(
        "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                   per, window_starts_at, day_starts_at, tier)
         select gen_random_uuid(), 'ann', 'voice_minutes', 'app', nth::text, 9000000000000000000, $1, $1, 'cycle', $1, $1,
                'ai_secretary'
         from generate_series(1, 2) as nth",
    )
    .bind(billing.now())
    .execute(&service.db)
    .await
    .unwrap();

    billing.pass_end("ben", TimeDelta::hours(3)).await;
    billing.timetable().await;

    assert_eq!(billing.billed(&ben).await, 565);
    assert_eq!(billing.billed(&ann).await, 0);
    let told = "select why from billing_parks where account_id = 'ann'";
    let told: String = service.value(told).await;
    assert_eq!(told, "the amount is larger than an amount can be");
    assert_eq!(billing.house.dead().await, [""; 0]);
}
