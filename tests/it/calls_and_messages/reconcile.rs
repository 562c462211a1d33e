//! What no callback told is in the provider's lists.

use chrono::TimeDelta;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tollkeeper::sandbox::{Fault, When};
use tollkeeper_jobs::ReconcilePhoneLogs;

use super::{house_of_ann, used};
use crate::support::{house::House, phone::CALLER, proof::seed};

#[tokio::test]
async fn callbacks_that_were_lost_are_made_up_from_the_providers_lists() {
    let (house, web, phone) = house_of_ann().await;
    let mut dice = StdRng::seed_from_u64(seed("lost_callbacks"));
    let (mut minutes, mut messages, mut lost) = (0, 0, 0);
    for _ in 0..60 {
        house
            .sandbox
            .advance(TimeDelta::minutes(dice.random_range(1..600)));
        let seconds = dice.random_range(0..400);
        let call = house
            .sandbox
            .take_call(&phone.number, CALLER, seconds)
            .unwrap();
        minutes += i64::from(seconds.div_ceil(60));
        let message = house
            .sandbox
            .take_message(&phone.number, CALLER, "hello")
            .unwrap();
        messages += 1;
        if dice.random_bool(0.1) {
            lost += 1;
        } else {
            let seconds = seconds.to_string();
            phone
                .call(&web, &call.sid, "completed", Some(&seconds))
                .await;
        }
        if dice.random_bool(0.1) {
            lost += 1;
        } else {
            phone.message(&web, &message.sid, CALLER, "hello").await;
        }
        if dice.random_bool(0.1) {
            reconcile(&house).await;
        }
    }
    for _ in 0..2 {
        reconcile(&house).await;
    }

    assert!(lost > 0, "nothing was lost");
    assert_eq!(used(&house.service, "voice_minutes").await, minutes);
    assert_eq!(used(&house.service, "sms").await, messages);
    // Each counts when it was, however late it came.
    let misplaced: i64 = house
        .service
        .value(
            "select count(*) from calls join usage_events on source_id = call_ref
             where abs(extract(epoch from occurred_at - ended_at)) > 1",
        )
        .await;
    assert_eq!(misplaced, 0);
    assert_eq!(house.findings().await, Vec::<String>::new());
    assert_eq!(house.dead().await, Vec::<String>::new());
}

async fn reconcile(house: &House) {
    let tick_at = house.sandbox.now();
    house.service.enqueue(&ReconcilePhoneLogs { tick_at }).await;
    house.settle().await;
}

#[tokio::test]
async fn a_call_that_was_longer_at_the_provider_is_told_to_a_person_and_billed_as_it_was_told() {
    let (house, web, phone) = house_of_ann().await;
    let call = house.sandbox.take_call(&phone.number, CALLER, 600).unwrap();
    phone.call(&web, &call.sid, "completed", Some("61")).await;
    house.settle().await;

    reconcile(&house).await;

    assert_eq!(house.findings().await, ["call_differs"]);
    assert_eq!(used(&house.service, "voice_minutes").await, 2);
}

#[tokio::test]
async fn while_twilio_is_gone_its_lists_are_read_later_and_from_where_they_were_left() {
    let (house, _web, phone) = house_of_ann().await;
    reconcile(&house).await;
    house.sandbox.take_call(&phone.number, CALLER, 61).unwrap();
    house.strike(
        "GET",
        "Calls.json",
        When::First(3),
        Fault::ErrorBefore { status: 503 },
    );
    reconcile(&house).await;
    house.sandbox.advance(TimeDelta::days(9));
    reconcile(&house).await;

    assert_eq!(used(&house.service, "voice_minutes").await, 2);
    assert_eq!(house.dead().await, Vec::<String>::new());
}

/// Every order of the four, each callback twice, and a tenth of all of them never told.
#[tokio::test]
async fn whatever_is_told_of_calls_in_whatever_order_usage_is_what_the_provider_lists() {
    let (house, web, phone) = house_of_ann().await;
    let mut dice = StdRng::seed_from_u64(seed("orders_and_losses"));
    let (mut minutes, mut lost) = (0, 0);
    for nth in 0..24 {
        house.sandbox.advance(TimeDelta::seconds(500));
        let seconds = dice.random_range(1..400);
        let call = house
            .sandbox
            .take_call(&phone.number, CALLER, seconds)
            .unwrap();
        minutes += i64::from(seconds.div_ceil(60));
        let seconds = seconds.to_string();
        let order = permutation(nth, ["initiated", "ringing", "in-progress", "completed"]);
        for status in [order, order].concat() {
            if dice.random_bool(0.1) {
                lost += 1;
                continue;
            }
            let length = (status == "completed").then_some(&*seconds);
            phone.call(&web, &call.sid, status, length).await;
        }
    }
    // Of one nothing was told at all.
    house.sandbox.take_call(&phone.number, CALLER, 61).unwrap();
    minutes += 2;
    house.settle().await;

    reconcile(&house).await;

    assert!(lost > 0, "nothing was lost");
    assert_eq!(used(&house.service, "voice_minutes").await, minutes);
    let ended: i64 = house
        .service
        .value("select count(*) from calls where status = 'completed' and seconds is not null")
        .await;
    assert_eq!(ended, 25);
    assert_eq!(house.findings().await, Vec::<String>::new());
    assert_eq!(house.dead().await, Vec::<String>::new());
}

/// The nth of all orders of these.
fn permutation(nth: usize, mut of: [&'static str; 4]) -> [&'static str; 4] {
    let mut rest = nth;
    for place in 0..of.len() {
        let choices = of.len() - place;
        of[place..].rotate_left(rest % choices);
        rest /= choices;
    }
    of
}

#[test]
fn all_orders_are_different() {
    let orders: std::collections::BTreeSet<_> = (0..24)
        .map(|nth| permutation(nth, ["a", "b", "c", "d"]))
        .collect();
    assert_eq!(orders.len(), 24);
}
