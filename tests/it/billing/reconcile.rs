//! Our books and Stripe's, compared both ways: what somebody changed behind our back is found, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::{Value, json};
use tollkeeper::{
    billing::operate::{Approves, unpark},
    queue::operate::By,
    sandbox::stripe::{SignUp, SignedUp},
};
use tollkeeper_jobs::{CompareInvoice, ReconcileAccount, ReconcileInvoices, SweepCharges};
use uuid::Uuid;

use super::{Billing, MESSAGES, MINUTES};
use crate::support::{
    house::SECRETARY,
    proof::{all_held, size},
};

const DRIFT: &str = "invoice_drift";
const BY: By<'_> = By {
    who: "ann",
    why: "a credit note is written",
};

impl Billing {
    /// Compare everybody's invoices with Stripe's.
    pub async fn reconcile(&self) {
        let tick_at = self.now();
        self.house
            .service
            .enqueue(&ReconcileInvoices { tick_at })
            .await;
        self.house.settle().await;
    }

    /// By account: what the open findings about its invoices tell, each difference as the text of its JSON.
    async fn drifts(&self) -> BTreeMap<String, BTreeSet<String>> {
        let rows: Vec<(String, Value)> = sqlx::query_as(
            "select account_id, detail from findings where kind = $1 and closed_at is null",
        )
        .bind(DRIFT)
        .fetch_all(&self.house.service.db)
        .await
        .unwrap();
        let mut drifts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (account_id, detail) in rows {
            let told = detail["differences"].as_array().unwrap().iter();
            drifts
                .entry(account_id)
                .or_default()
                .extend(told.map(Value::to_string));
        }
        drifts
    }

    async fn parked(&self) -> BTreeSet<String> {
        let parked: Vec<String> = sqlx::query_scalar("select account_id from billing_parks")
            .fetch_all(&self.house.service.db)
            .await
            .unwrap();
        parked.into_iter().collect()
    }

    /// What somebody put on an invoice, as Stripe has it, the oldest first.
    async fn raw_items(&self, invoice: &Value) -> Vec<Value> {
        let id = invoice["id"].as_str().unwrap();
        let list = self
            .stripe(&format!("invoiceitems?limit=100&invoice={id}"))
            .await;
        let mut items = list["data"].as_array().unwrap().clone();
        items.reverse();
        items
    }

    /// Put a line on a draft that says it is ours, or leave it pending; answers its id.
    async fn add_line(&self, who: &SignedUp, invoice: Option<&Value>, charge_id: &str) -> String {
        let mut form = vec![
            ("customer", who.customer_id.as_str()),
            ("amount", "77"),
            ("currency", "usd"),
            ("metadata[app]", "tollkeeper"),
            ("metadata[charge_id]", charge_id),
        ];
        if let Some(invoice) = invoice {
            form.push(("invoice", invoice["id"].as_str().unwrap()));
        }
        let url = format!("{}/v1/invoiceitems", self.house.sandbox.stripe_base());
        let asked = reqwest::Client::new()
            .post(url)
            .bearer_auth("sk_test_sandbox");
        let answer: Value = asked
            .form(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    /// Customers with three lines each on the draft of their first cycle, compared already.
    async fn customers_with_drafts(&self, users: &[String]) -> Vec<SignedUp> {
        let sign_up = |user: &String| {
            let who = SignUp {
                user_id: user.clone(),
                email: format!("{user}@example.com"),
                price_id: SECRETARY.into(),
                ..SignUp::default()
            };
            self.house.sandbox.sign_up(&who).unwrap()
        };
        let customers: Vec<SignedUp> = users.iter().map(sign_up).collect();
        self.house.take_in_all().await;
        for user in users {
            self.uses(user, MINUTES, 150).await;
            self.uses(user, MESSAGES, 120).await;
        }
        self.pass_end(users.last().unwrap(), TimeDelta::seconds(30))
            .await;
        self.pass(TimeDelta::minutes(11)).await;
        customers
    }
}

fn text(difference: Value) -> String {
    difference.to_string()
}

fn id(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

fn charge_of(item: &Value) -> String {
    item["metadata"]["charge_id"].as_str().unwrap().to_owned()
}

/// Do one kind of damage to a line of a final invoice; answers what is to be found.
fn damage(billing: &Billing, nth: usize, item: &Value) -> String {
    let sandbox = &billing.house.sandbox;
    let (item_ref, charge_id) = (id(item), charge_of(item));
    text(match nth % 3 {
        0 => {
            assert!(sandbox.lose_item(&item_ref));
            json!({ "what": "missing", "charge_id": charge_id })
        }
        1 => {
            let amount_minor = item["amount"].as_i64().unwrap() - 1;
            assert!(sandbox.falsify_item(&item_ref, amount_minor));
            json!({ "what": "altered", "charge_id": charge_id, "item_ref": item_ref, "amount_minor": amount_minor })
        }
        _ => {
            let item_ref = sandbox.double_item(&item_ref).unwrap();
            json!({ "what": "doubled", "charge_id": charge_id, "item_ref": item_ref })
        }
    })
}

#[tokio::test]
async fn every_planted_drift_is_found_in_one_look_and_nobody_else_is_parked() {
    let drifts = size(16, 1_000);
    // Two for each account that has any, and some accounts without.
    let (drifted, calm) = (drifts / 2, drifts / 8);
    let billing = Billing::new().await;
    let users: Vec<String> = (0..drifted + calm)
        .map(|nth| format!("user-{nth:04}"))
        .collect();
    let customers = billing.customers_with_drafts(&users).await;
    let mut planted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let damaged: Vec<(&String, &SignedUp)> = users.iter().zip(&customers).take(drifted).collect();

    // A line of a stranger's in the last minutes of every fourth draft, when nobody compares it any more.
    billing.pass_end_of_drafts(TimeDelta::minutes(4)).await;
    for (user, who) in damaged.iter().step_by(4) {
        let draft = billing.last_invoice(who).await;
        let item_ref = billing
            .add_line(who, Some(&draft), &Uuid::now_v7().to_string())
            .await;
        let foreign = text(json!({ "what": "foreign", "item_ref": item_ref }));
        planted.entry(user.to_string()).or_default().insert(foreign);
    }
    billing.pass(TimeDelta::hours(2)).await;
    billing.timetable().await;
    assert_eq!(billing.parked().await, BTreeSet::new());
    let mut nth = 0;
    for (user, who) in &damaged {
        let items = billing.raw_items(&billing.last_invoice(who).await).await;
        let found = planted.entry(user.to_string()).or_default();
        // The first three are ours.
        for item in items.iter().take(2 - found.len()) {
            found.insert(damage(&billing, nth, item));
            nth += 1;
        }
    }

    billing.reconcile().await;

    let found = billing.drifts().await;
    let held = planted.iter().map(|(user, planted)| {
        found
            .get(user)
            .map_or(0, |found| planted.intersection(found).count())
    });
    all_held("drifts_found", held.sum(), "planted drifts", drifts);
    assert_eq!(found, planted);
    assert_eq!(billing.parked().await, planted.keys().cloned().collect());
    assert_eq!(billing.house.dead().await, [""; 0]);
}

#[tokio::test]
async fn whatever_moment_of_a_cycle_is_looked_at_nothing_is_a_drift() {
    let billing = Billing::new().await;
    let (ann, _) = (billing.customer("ann").await, billing.customer("ben").await);
    billing.uses("ann", MINUTES, 150).await;
    billing.uses("ben", MINUTES, 150).await;
    billing.pass_end("ben", TimeDelta::seconds(30)).await;
    for account_id in ["ann", "ben"].into_iter().cycle().take(20) {
        let service = &billing.house.service;
        let account_id = account_id.to_owned();
        // Beside whatever else is going on.
        service.enqueue(&ReconcileAccount { account_id }).await;
        billing.pass(TimeDelta::minutes(8)).await;
    }
    billing.cancel(&ann).await;
    for _ in 0..5 {
        let account_id = "ann".to_owned();
        billing
            .house
            .service
            .enqueue(&ReconcileAccount { account_id })
            .await;
        billing.pass(TimeDelta::minutes(3)).await;
    }
    billing.timetable().await;
    billing.reconcile().await;
    assert_eq!(billing.parked().await, BTreeSet::new());
    billing.check_calm().await;
}

#[tokio::test]
async fn a_draft_that_differs_is_repaired_and_nobody_is_parked() {
    let billing = Billing::new().await;
    let customers = billing.customers_with_drafts(&["ann".into()]).await;
    let draft = billing.last_invoice(&customers[0]).await;
    let right = billing.items(&draft).await;
    let ours = id(&billing.raw_items(&draft).await[0]);
    billing.house.sandbox.double_item(&ours).unwrap();
    billing
        .add_line(&customers[0], Some(&draft), "nobody's")
        .await;
    assert_eq!(billing.items(&draft).await.len(), right.len() + 2);

    billing.reconcile().await;

    assert_eq!(billing.items(&draft).await, right);
    assert_eq!(billing.parked().await, BTreeSet::new());
    billing.check_calm().await;
}

#[tokio::test]
async fn a_line_that_waits_for_the_next_invoice_is_told_until_it_is_gone() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let item_ref = billing.add_line(&ann, None, "nobody's").await;
    billing.reconcile().await;
    let expected = json!({ "what": "line_pending", "charge_id": "nobody's", "amount_minor": 77 });
    let found = billing.drifts().await;
    assert_eq!(found["ann"], BTreeSet::from([text(expected)]));

    assert!(billing.house.sandbox.lose_item(&item_ref));
    billing.reconcile().await;
    assert_eq!(billing.drifts().await, BTreeMap::new());
    // That is for a person to end.
    assert_eq!(billing.parked().await, BTreeSet::from(["ann".to_owned()]));
}

#[tokio::test]
async fn a_stranger_on_an_invoice_of_our_own_is_found_whatever_it_says_of_itself() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.pass(TimeDelta::days(3)).await;
    billing.cancel(&ann).await;
    billing.pass(TimeDelta::minutes(11)).await;
    let own = billing.last_invoice(&ann).await;
    let planted = billing
        .house
        .sandbox
        .plant_item(&id(&own), 5, "a gift")
        .unwrap();
    // On an invoice of Stripe's it is none of our business.
    let first = &billing.invoices(&ann).await[0];
    billing
        .house
        .sandbox
        .plant_item(&id(first), 5, "a gift")
        .unwrap();

    billing.reconcile().await;

    let foreign = text(json!({ "what": "foreign", "item_ref": planted }));
    assert_eq!(billing.drifts().await["ann"], BTreeSet::from([foreign]));
}

#[tokio::test]
async fn a_difference_of_a_final_invoice_that_a_person_accepted_parks_nobody_again() {
    let billing = Billing::new().await;
    let customers = billing.customers_with_drafts(&["ann".into()]).await;
    let service = &billing.house.service;
    let draft = billing.last_invoice(&customers[0]).await;
    let items = billing.raw_items(&draft).await;
    // Support takes a line off the draft.
    assert!(billing.house.sandbox.lose_item(&id(&items[0])));
    let invoice_id = "select invoice_id from invoices where status = 'draft'";
    let invoice_id: Uuid = service.value(invoice_id).await;
    let ann = BTreeSet::from(["ann".to_owned()]);
    service.enqueue(&CompareInvoice { invoice_id }).await;
    billing.house.settle().await;
    assert_eq!(billing.parked().await, ann);
    let accept = async || {
        let mut conn = service.db.acquire().await.unwrap();
        let accepted = unpark(&mut conn, "ann", Approves::Nothing, BY, billing.now());
        assert_eq!(accepted.await.unwrap().accepted, 1);
    };
    let look_again = async || {
        let tick_at = billing.now();
        service.enqueue(&SweepCharges { tick_at }).await;
        billing.house.settle().await;
    };

    // What is a draft can still be put right.
    accept().await;
    look_again().await;
    assert_eq!(billing.parked().await, ann);
    billing.pass(TimeDelta::hours(2)).await;
    let mut conn = service.db.acquire().await.unwrap();
    unpark(&mut conn, "ann", Approves::Nothing, BY, billing.now())
        .await
        .unwrap();
    drop(conn);
    look_again().await;
    look_again().await;
    assert_eq!(billing.parked().await, BTreeSet::new());

    // Anything else is news.
    assert!(billing.house.sandbox.lose_item(&id(&items[1])));
    service.enqueue(&CompareInvoice { invoice_id }).await;
    billing.house.settle().await;
    assert_eq!(billing.parked().await, ann);
}

#[tokio::test]
async fn what_a_person_accepted_is_not_told_again_and_anything_new_is() {
    let billing = Billing::new().await;
    let customers = billing.customers_with_drafts(&["ann".into()]).await;
    billing.pass(TimeDelta::hours(2)).await;
    let items = billing
        .raw_items(&billing.last_invoice(&customers[0]).await)
        .await;
    damage(&billing, 1, &items[0]);
    billing.reconcile().await;
    assert_eq!(billing.drifts().await.len(), 1);

    let mut conn = billing.house.service.db.acquire().await.unwrap();
    let unparked = unpark(&mut conn, "ann", Approves::Nothing, BY, billing.now())
        .await
        .unwrap();
    assert_eq!(unparked.accepted, 1);
    billing.reconcile().await;
    assert_eq!(billing.drifts().await, BTreeMap::new());
    assert_eq!(billing.parked().await, BTreeSet::new());

    damage(&billing, 0, &items[1]);
    billing.reconcile().await;
    assert_eq!(billing.drifts().await["ann"].len(), 2);
    assert_eq!(billing.parked().await.len(), 1);
}
