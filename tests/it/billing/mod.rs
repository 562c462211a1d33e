//! Overage on the right invoice, exactly once, to the cent: through the real queue on a real Postgres, against a
//! Stripe whose own books are the judge.

mod commands;
mod coupons;
mod cycle;
mod dunning;
mod given_up;
mod held_up;
pub mod histories;
mod history;
mod invariants;
mod ledger;
mod notices;
mod orders;
mod reconcile;
mod refunds;
mod run;
mod simulate;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tollkeeper::{
    sandbox::stripe::{BookedInvoice, SignUp, SignedUp, Status},
    usage::{How, Key, Request, Rules, carry_out},
};
use tollkeeper_jobs::{
    CloseDuePeriods, CloseUsageWindows, PollInvoiceDrafts, SweepCharges,
    billing::matching::CHARGE_KEY, usage::MicroUnits,
};

use crate::support::{
    house::{House, SECRETARY},
    service::Service,
};

pub const MINUTES: &str = "voice_minutes";
pub const MESSAGES: &str = "sms";

/// A house whose customers pay for what they use.
pub struct Billing {
    pub house: House,
}

/// A line that somebody put on an invoice, as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub description: String,
    pub amount: i64,
}

impl Billing {
    pub async fn new() -> Billing {
        Billing {
            house: House::new().await,
        }
    }

    /// Sign somebody up, and wait until everything is in order.
    pub async fn customer(&self, user: &str) -> SignedUp {
        self.customer_of(SignUp {
            user_id: user.into(),
            email: format!("{user}@example.com"),
            price_id: SECRETARY.into(),
            ..SignUp::default()
        })
        .await
    }

    pub async fn customer_of(&self, who: SignUp) -> SignedUp {
        let signed_up = self.house.sandbox.sign_up(&who).unwrap();
        self.house.take_in_all().await;
        signed_up
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.house.sandbox.now()
    }

    /// Report a use that occurred then, under an id of its own.
    pub async fn uses_at(
        &self,
        user: &str,
        feature: &str,
        units: u64,
        source_id: &str,
        at: DateTime<Utc>,
    ) {
        report(&self.house.service, user, feature, units, source_id, at).await;
    }

    /// Report a use that occurs now.
    pub async fn uses(&self, user: &str, feature: &str, units: u64) {
        let source_id = uuid::Uuid::now_v7().to_string();
        self.uses_at(user, feature, units, &source_id, self.now())
            .await;
    }

    /// What the timetable would ask for by now.
    pub async fn timetable(&self) {
        let service = &self.house.service;
        let tick_at = self.now();
        service.enqueue(&CloseUsageWindows { tick_at }).await;
        self.house.settle().await;
        service.enqueue(&CloseDuePeriods { tick_at }).await;
        service.enqueue(&PollInvoiceDrafts { tick_at }).await;
        self.house.settle().await;
        service.enqueue(&SweepCharges { tick_at }).await;
        self.house.settle().await;
    }

    /// Let time pass and all events arrive. Nothing but events and jobs that wait make anything happen.
    pub async fn pass(&self, time: TimeDelta) {
        self.house.sandbox.advance(time);
        self.house.take_in_all().await;
    }

    /// When the period that runs ends.
    pub async fn period_end(&self, user: &str) -> DateTime<Utc> {
        sqlx::query_scalar("select max(ends_at) from billing_periods where account_id = $1")
            .bind(user)
            .fetch_one(&self.house.service.db)
            .await
            .unwrap()
    }

    /// They cancel, as of now.
    pub async fn cancel(&self, who: &SignedUp) {
        let canceled = self
            .house
            .sandbox
            .set_status(&who.subscription_id, Status::Canceled);
        assert!(canceled);
        self.house.take_in_all().await;
    }

    /// Let time pass up to so long after the end of the period that runs.
    pub async fn pass_end(&self, user: &str, after: TimeDelta) {
        let end = self.period_end(user).await;
        self.pass(end + after - self.now()).await;
    }

    /// Let time pass up to so long before the first draft ends by itself.
    pub async fn pass_end_of_drafts(&self, before: TimeDelta) {
        let first: DateTime<Utc> =
            sqlx::query_scalar("select min(finalizes_at) from invoices where status = 'draft'")
                .fetch_one(&self.house.service.db)
                .await
                .unwrap();
        self.pass(first - before - self.now()).await;
    }

    pub async fn stripe(&self, path: &str) -> Value {
        let url = format!("{}/v1/{path}", self.house.sandbox.stripe_base());
        let answer = reqwest::Client::new()
            .get(url)
            .bearer_auth("sk_test_sandbox")
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }

    /// A customer's invoices, oldest first.
    pub async fn invoices(&self, who: &SignedUp) -> Vec<Value> {
        let list = self
            .stripe(&format!("invoices?limit=100&customer={}", who.customer_id))
            .await;
        let mut invoices = list["data"].as_array().unwrap().clone();
        invoices.reverse();
        invoices
    }

    /// The newest of a customer's invoices.
    pub async fn last_invoice(&self, who: &SignedUp) -> Value {
        self.invoices(who).await.pop().unwrap()
    }

    /// What somebody put on an invoice.
    pub async fn items(&self, invoice: &Value) -> Vec<Item> {
        let id = invoice["id"].as_str().unwrap();
        let list = self
            .stripe(&format!("invoiceitems?limit=100&invoice={id}"))
            .await;
        let mut items: Vec<Item> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| Item {
                description: item["description"].as_str().unwrap_or_default().to_owned(),
                amount: item["amount"].as_i64().unwrap(),
            })
            .collect();
        items.sort();
        items
    }

    /// Everything somebody put on any of a customer's invoices.
    pub async fn billed(&self, who: &SignedUp) -> i64 {
        let mut total = 0;
        for invoice in self.invoices(who).await {
            let items = self.items(&invoice).await;
            total += items.iter().map(|item| item.amount).sum::<i64>();
        }
        total
    }

    /// Nothing went wrong for good.
    pub async fn check_calm(&self) {
        assert_eq!(self.house.dead().await, [""; 0]);
        assert_eq!(self.house.findings().await, [""; 0]);
    }
}

/// Report a use that occurred then, under an id of its own.
pub async fn report(
    service: &Service,
    user: &str,
    feature: &str,
    units: u64,
    source_id: &str,
    at: DateTime<Utc>,
) {
    let request = Request {
        account_id: user.into(),
        feature: feature.into(),
        quantity: MicroUnits::of_units(units),
        how: How::Track,
        source: "twilio",
        key: Some(Key {
            source_id: source_id.into(),
            is_per_feature: true,
            request_sha256: [0; 32],
        }),
        occurred_at: Some(at),
        window: None,
        app_name: None,
        metadata: None,
    };
    let rules = Rules::of(&service.ctx);
    let mut tx = service.db.begin().await.unwrap();
    let answers = carry_out(&mut tx, &rules, &[&request]).await.unwrap();
    assert!(answers[0].is_ok());
    tx.commit().await.unwrap();
}

/// What stands on an invoice that we put there, by Stripe's books. Minor units.
pub fn ours(invoice: &BookedInvoice) -> i64 {
    let lines = invoice.lines.iter().filter(|line| !line.is_deleted);
    let lines = lines.filter(|line| line.metadata.contains_key(CHARGE_KEY));
    lines.map(|line| line.amount).sum()
}
