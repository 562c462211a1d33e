//! Random lives of customers beside a Stripe that goes wrong in every way there is: afterwards its books say what the
//! usage comes to, to the cent.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use sqlx::PgPool;
use tollkeeper::sandbox::{
    Provider, Rule,
    stripe::{SignUp, SignedUp, Status},
};

use super::{Billing, MESSAGES, MINUTES, ours};
use crate::support::{
    house::{MANAGER, SECRETARY},
    proof::{all_held, seed, size},
};

/// Of all calls that change something, for each kind of fault.
const SHARE: f64 = 0.04;
const LATE_BY: Duration = Duration::from_millis(60);

struct Customer {
    user: String,
    signed_up: SignedUp,
    signed_up_at: DateTime<Utc>,
    uses: u32,
    price: &'static str,
    is_paused: bool,
    has_left: bool,
}

struct Histories {
    billing: Billing,
    dice: StdRng,
    customers: Vec<Customer>,
    /// So many events were told of.
    heard: usize,
}

impl Histories {
    async fn begin(count: usize, seed: u64) -> Histories {
        let mut histories = Histories {
            billing: Billing::new().await,
            dice: StdRng::seed_from_u64(seed),
            customers: Vec::new(),
            heard: 0,
        };
        for nth in 0..count {
            let user = format!("user-{nth}");
            let price = match nth % 4 {
                0 => MANAGER,
                _ => SECRETARY,
            };
            let signed_up = histories.billing.house.sandbox.sign_up(&SignUp {
                user_id: user.clone(),
                email: format!("{user}@example.com"),
                price_id: price.into(),
                ..SignUp::default()
            });
            histories.customers.push(Customer {
                user,
                signed_up: signed_up.unwrap(),
                signed_up_at: histories.billing.now(),
                uses: 0,
                price,
                is_paused: false,
                has_left: false,
            });
        }
        histories.billing.house.take_in_all().await;
        histories
    }

    fn go_wrong(&self) {
        let rules = Rule::every_fault(SHARE, LATE_BY);
        let rules = rules.into_iter().map(|rule| Rule {
            provider: Some(Provider::Stripe),
            path_contains: "invoice".into(),
            method: Some("POST".into()),
            ..rule
        });
        self.billing.house.sandbox.add_rules(rules.collect());
    }

    /// Uses that occurred at any time since the customer's beginning; one in five is told twice.
    async fn use_something(&mut self) {
        let now = self.billing.now();
        for nth in 0..self.customers.len() {
            if !self.dice.random_bool(0.6) {
                continue;
            }
            let customer = &mut self.customers[nth];
            customer.uses += 1;
            let since = (now - customer.signed_up_at).num_seconds().max(1);
            let ago = match self.dice.random_bool(0.7) {
                true => self.dice.random_range(0..3600).min(since),
                false => self.dice.random_range(0..since),
            };
            let source_id = format!("CA-{nth}-{}", customer.uses);
            let (feature, units) = match self.dice.random_bool(0.5) {
                true => (MINUTES, self.dice.random_range(1..400)),
                false => (MESSAGES, self.dice.random_range(1..300)),
            };
            let user = customer.user.clone();
            let at = now - TimeDelta::seconds(ago);
            for _ in 0..=u32::from(self.dice.random_bool(0.2)) {
                self.billing
                    .uses_at(&user, feature, units, &source_id, at)
                    .await;
            }
        }
    }

    /// Some cancel, some change their plan, some pause collecting or go on with it.
    async fn change_something(&mut self) {
        for customer in &mut self.customers {
            let luck: f64 = self.dice.random();
            if customer.has_left {
                continue;
            }
            let id = customer.signed_up.subscription_id.as_str();
            let path = ["subscriptions", id];
            if luck < 0.06 {
                customer.has_left = true;
                self.billing.house.sandbox.set_status(id, Status::Canceled);
            } else if luck < 0.12 {
                customer.price = if customer.price == MANAGER {
                    SECRETARY
                } else {
                    MANAGER
                };
                let item = customer.signed_up.item_id.as_str();
                let form = [("items[0][id]", item), ("items[0][price]", customer.price)];
                self.billing.order(&path, &form).await;
            } else if luck < 0.18 {
                customer.is_paused = !customer.is_paused;
                let form = match customer.is_paused {
                    true => ("pause_collection[behavior]", "void"),
                    false => ("pause_collection", ""),
                };
                self.billing.order(&path, &[form]).await;
            }
        }
    }

    /// All new events, in any order, and one in ten of the older ones again.
    async fn hear(&mut self) {
        let events = self.billing.house.sandbox.events();
        let mut told: Vec<&str> = Vec::new();
        for (nth, event) in events.iter().enumerate() {
            if nth >= self.heard || self.dice.random_bool(0.1) {
                told.push(&event.id);
            }
        }
        self.heard = events.len();
        told.shuffle(&mut self.dice);
        for event_id in told {
            self.billing.house.take_in(event_id).await;
        }
        self.billing.house.settle().await;
        self.billing.books_are_right().await;
    }

    /// Requests that changed something at Stripe.
    fn changes(&self) -> usize {
        let calls = self.billing.house.sandbox.calls();
        calls
            .iter()
            .filter(|call| call.provider == Provider::Stripe && call.method != "GET")
            .count()
    }
}

/// By the database: what each account was charged and is on an invoice, and what it owes still.
pub async fn charged(db: &PgPool) -> BTreeMap<String, (i64, i64)> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select account_id, coalesce(sum(amount_minor) filter (where invoice_id is not null), 0)::bigint,
                coalesce(sum(amount_minor) filter (where invoice_id is null and waiver is null), 0)::bigint
         from charges group by account_id",
    )
    .fetch_all(db)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(account, on, owed)| (account, (on, owed)))
        .collect()
}

/// What the closed periods of each account come to: worked out from the usage alone, in fractions of a cent that
/// are rounded once, by SQL that shares nothing with the rules.
pub async fn rated(db: &PgPool) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "with used as (
             select p.account_id, p.period_id, p.terms, m.key as meter,
                    (m.value->>'included')::numeric as included,
                    (m.value->'rates'->0->>'rate')::numeric as rate,
                    coalesce((select sum(e.quantity) from usage_events e
                              where e.account_id = p.account_id and e.feature = m.key
                                and e.occurred_at >= p.starts_at and e.occurred_at < p.ends_at), 0) / 1000000 as units
             from billing_periods p, jsonb_each(p.terms->'meters') m
             where p.closed_at is not null and p.subscription_ref is not null and p.waiver is null
         ),
         fees as (
             select p.account_id, (p.terms->>'number_fee_minor')::bigint * count(n.id) as amount
             from billing_periods p
             join phone_numbers n on n.account_id = p.account_id and n.purchased_at < p.ends_at
              and (n.released_at is null or n.released_at > p.starts_at)
             where p.closed_at is not null and p.subscription_ref is not null and p.waiver is null
             group by p.period_id
         )
         select account_id, sum(amount)::bigint from (
             select account_id, floor(greatest(units - included, 0) * coalesce(rate, 0) / 10000 + 0.5) as amount from used
             union all select account_id, amount from fees
         ) as all_of_it group by account_id",
    )
    .fetch_all(db)
    .await
    .unwrap();
    rows.into_iter().collect()
}

#[tokio::test]
async fn whatever_goes_wrong_everybody_is_billed_once_to_the_cent() {
    let count = size(4, 1000);
    let seed = seed("billing_histories");
    let mut histories = Histories::begin(count, seed).await;
    histories.go_wrong();
    for cycle in 0..2 {
        for _ in 0..3 {
            histories.use_something().await;
            histories.billing.house.sandbox.advance(TimeDelta::days(9));
            histories.change_something().await;
            histories.hear().await;
        }
        // Over the end of the cycle in steps that drafts come and go between.
        let end = histories.customers[0].signed_up_at + chrono::Months::new(cycle + 1);
        histories
            .billing
            .pass(end + TimeDelta::seconds(5) - histories.billing.now())
            .await;
        for _ in 0..6 {
            let minutes = histories.dice.random_range(5..40);
            histories
                .billing
                .house
                .sandbox
                .advance(TimeDelta::minutes(minutes));
            histories.use_something().await;
            histories.hear().await;
        }
        histories.billing.timetable().await;
    }
    histories.billing.house.sandbox.clear_rules();
    for _ in 0..3 {
        histories.billing.pass(TimeDelta::hours(5)).await;
        histories.billing.timetable().await;
    }

    let before = histories.changes();
    histories.billing.timetable().await;
    histories.billing.house.take_in_all().await;
    assert_eq!(histories.changes(), before, "a second run does nothing");
    let db = &histories.billing.house.service.db;
    let (charged, rated) = (charged(db).await, rated(db).await);
    let books = histories.billing.house.sandbox.books();
    let mut right = 0;
    for customer in &histories.customers {
        let theirs = books
            .iter()
            .filter(|invoice| invoice.customer == customer.signed_up.customer_id);
        let billed: i64 = theirs.map(ours).sum();
        let (on, owed) = charged.get(&customer.user).copied().unwrap_or_default();
        let rated = rated.get(&customer.user).copied().unwrap_or_default();
        let is_right = billed == on && on + owed == rated;
        right += usize::from(is_right);
        if !is_right {
            println!(
                "{}: Stripe {billed}, on invoices {on}, owed {owed}, rated {rated}",
                customer.user
            );
        }
    }
    println!(
        "findings: {:?}, dead: {:?}",
        histories.billing.house.findings().await,
        histories.billing.house.dead().await
    );
    all_held(
        "random histories billed once, to the cent",
        right,
        "accounts",
        count,
    );
    histories.billing.books_are_right().await;
    histories.billing.reconcile().await;
    histories.billing.check_calm().await;
}
