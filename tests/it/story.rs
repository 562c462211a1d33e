//! The story of a customer, from sign-up to cancellation, told in every order and by many senders.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tollkeeper::{
    sandbox::{Mischief, MischiefRule, Rule, When},
    signature::stripe,
};

use crate::support::{
    house::House,
    proof::{all_held, size},
    until,
    web::{STRIPE_SECRET, Web, golden},
};

/// The six events of the story, in the order of the story.
const STORY: [&str; 6] = [
    "customer.subscription.created",
    "customer.subscription.updated.activated",
    "customer.subscription.updated.past_due",
    "customer.subscription.updated.renewed",
    "customer.subscription.updated.cancel_scheduled",
    "customer.subscription.deleted.at_period_end",
];

/// The story as it happened to one customer.
fn story_of(customer: usize) -> Vec<Value> {
    STORY
        .iter()
        .map(|file| {
            let path = golden(&format!("webhooks/stripe/new/{file}.json"));
            let recorded = std::fs::read_to_string(path).unwrap();
            let own = recorded
                .replace("sub_1SFixture", &format!("sub_{customer}x"))
                .replace("cus_TFixture", &format!("cus_{customer}x"))
                .replace("evt_1SFixture", &format!("evt_{customer}x"))
                .replace(
                    r#""tenant_id": "42""#,
                    &format!(r#""tenant_id": "user-{customer}""#),
                );
            serde_json::from_str(&own).unwrap()
        })
        .collect()
}

/// Every order of `0..n`.
pub fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = orders(n - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut longer = order.clone();
        longer.insert(at, n - 1);
        longer
    };
    shorter
        .iter()
        .flat_map(|order| (0..n).map(move |at| insert(order, at)))
        .collect()
}

/// While the story goes on at Stripe, its events arrive in some order, each of them twice.
async fn tell(house: &House, web: &Web, customer: usize, order: &[usize]) {
    let story = story_of(customer);
    for (now, arriving) in order.iter().enumerate() {
        house.sandbox.adopt(story[now]["data"]["object"].clone());
        let body = story[*arriving].to_string();
        let (first, copy) = tokio::join!(
            web.stripe("/stripe/webhook", body.as_bytes()),
            web.stripe("/api/stripe/webhook", body.as_bytes())
        );
        assert_eq!(
            (first.status().as_u16(), copy.status().as_u16()),
            (200, 200)
        );
    }
}

#[tokio::test]
async fn every_order_of_a_customers_six_events_ends_alike() {
    let house = House::new().await;
    let web = house.web();
    let orders = orders(STORY.len());
    assert_eq!(orders.len(), 720);
    // In `make test` one in eight of them, spread over all.
    let orders: Vec<_> = orders.into_iter().step_by(size(8, 1)).collect();
    let told = orders.len() as i64;

    for (batch, some) in orders.chunks(40).enumerate() {
        let telling = some
            .iter()
            .enumerate()
            .map(|(nth, order)| tell(&house, &web, batch * 40 + nth, order));
        futures_util::future::join_all(telling).await;
        house.settle().await;
    }
    // The grace time goes by: what was suspended is released.
    house.pass(TimeDelta::days(8)).await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    let webhooks: (i64, i64) =
        sqlx::query_as("select count(*), count(*) filter (where state = 'handled') from webhooks")
            .fetch_one(&house.service.db)
            .await
            .unwrap();
    assert_eq!(
        webhooks,
        (told * 6, told * 6),
        "each event once, and each done"
    );
    let ends: Vec<(String, bool, String, i64)> = sqlx::query_as(
        "select s.status, s.ended_at is not null, s.tier, count(*) from subscriptions s group by 1, 2, 3",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    assert_eq!(
        ends,
        [("canceled".to_owned(), true, "repx2".to_owned(), told)]
    );
    let kept: i64 = house
        .service
        .value("select count(*) from phone_numbers where status <> 'released'")
        .await;
    assert_eq!(
        (kept, house.sandbox.numbers().len()),
        (0, 0),
        "nothing is kept for who left"
    );
    assert_eq!(house.doubles(), Vec::<String>::new());
    let (_, _, _, ended) = &ends[0];
    let held = usize::try_from(*ended).unwrap();
    all_held(
        "orders_of_events",
        held,
        "orders that end alike",
        orders.len(),
    );
    web.tell_to_stop();
    house.worker.stop().await;
}

#[tokio::test]
async fn hundreds_of_sign_ups_under_every_fault_get_one_subaccount_and_one_number_each() {
    let sign_ups = size(60, 500);
    let house = House::new().await;
    let web = house.web();
    house
        .sandbox
        .add_rules(Rule::every_fault(0.1, Duration::from_millis(60)));
    let share = |share, mischief| MischiefRule {
        event_type_contains: String::new(),
        when: When::Share(share),
        mischief,
    };
    house.sandbox.add_mischief(vec![
        share(0.1, Mischief::Twice),
        share(
            0.1,
            Mischief::Late {
                by: Duration::from_millis(150),
            },
        ),
    ]);
    house.sandbox.add_webhook(
        &format!("http://{}/stripe/webhook", web.address),
        STRIPE_SECRET,
    );

    for user in 0..sign_ups {
        house.sign_up(&format!("user-{user}"));
    }
    house.sandbox.all_delivered().await;
    until("every sign-up is active", async || {
        house
            .service
            .value::<i64>("select count(*) from telephony where status = 'active'")
            .await
            == sign_ups as i64
    })
    .await;
    house.settle().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.held(), (sign_ups, sign_ups, sign_ups, sign_ups));
    assert_eq!(house.doubles(), Vec::<String>::new());
    house.sandbox.clear_rules();
    house.sweep().await;
    assert_eq!(
        house.findings().await,
        Vec::<String>::new(),
        "the sweep finds nothing to do"
    );
    let (subaccounts, ..) = house.held();
    let unit = "sign-ups with one subaccount and one number";
    all_held("sign_ups_under_faults", subaccounts, unit, sign_ups);
    web.tell_to_stop();
    house.worker.stop().await;
}

#[tokio::test]
async fn an_event_that_nobody_signed_leads_to_nothing() {
    let house = House::new().await;
    let web = house.web();
    let body = story_of(1)[1].to_string();
    let now = house.service.ctx.clock.now().timestamp();
    let forged = stripe::sign("whsec_of_somebody_else", body.as_bytes(), now);

    let answer = web
        .post("/stripe/webhook")
        .header("stripe-signature", forged)
        .json(&json!({}))
        .send()
        .await
        .unwrap();

    assert_eq!(answer.status(), 400);
    assert_eq!(
        house
            .service
            .value::<i64>("select count(*) from webhooks")
            .await,
        0
    );
    assert_eq!(
        house
            .service
            .value::<i64>("select count(*) from queue.jobs")
            .await,
        0
    );
    web.tell_to_stop();
    house.worker.stop().await;
}
