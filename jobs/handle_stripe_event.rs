//! Find out what a stored Stripe event asks for, and ask for it.
//!
//! Enqueued by the receiver (and by `poll_stripe_events`) in the transaction that stores the
//! webhook. Safe to run twice: what it asks for is keyed by its subject. It never decides on what an
//! event says about a subscription: it asks for the subscription to be fetched again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Job, RetryPolicy,
    stripe::{CheckoutSession, Customer, Event, Invoice, Object, Refund},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleStripeEvent {
    pub webhook_id: Uuid,
}

impl Job for HandleStripeEvent {
    const KIND: &'static str = "handle_stripe_event";
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.webhook_id.to_string()
    }
}

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing here wants it.
    Ignore,
    Do(Vec<Step>),
    /// A thin event: fetch the object, then decide with [`decide_on_checkout`].
    FetchCheckoutSession(String),
    /// The same, with [`decide_on_refund`].
    FetchRefund(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Remember whose customer this is.
    MapCustomer {
        customer_ref: String,
        account_id: String,
        email: Option<String>,
    },
    SyncSubscription(String),
    RecordInvoice(String),
    /// Its next invoice is coming.
    AnnounceUpcoming(String),
    /// By the charge.
    ApplyRefund(String),
    /// By the dispute.
    ApplyDispute(String),
    /// Its subscriptions ended with it: sync every one.
    CustomerDeleted(String),
}

/// What the event asks for, by its kind and its object.
pub fn decide(event: &Event) -> Plan {
    match event.kind.as_str() {
        "customer.deleted" => return decide_on_deleted_customer(event),
        "invoice.upcoming" => return decide_on_upcoming(event),
        _ => {}
    }
    match &event.object {
        Object::Subscription(subscription) => {
            Plan::Do(vec![Step::SyncSubscription(subscription.id.clone())])
        }
        Object::Invoice(invoice) => decide_on_invoice(&event.kind, invoice),
        Object::CheckoutSession(session) => decide_on_checkout(session),
        Object::Customer(customer) => decide_on_customer(customer),
        Object::Charge(charge) => Plan::Do(vec![Step::ApplyRefund(charge.id.clone())]),
        Object::Refund(refund) => decide_on_refund(refund),
        Object::Dispute(dispute) => Plan::Do(vec![Step::ApplyDispute(dispute.id.clone())]),
        Object::Related { kind, id } => match kind.as_str() {
            "subscription" => Plan::Do(vec![Step::SyncSubscription(id.clone())]),
            "invoice" => Plan::Do(vec![Step::RecordInvoice(id.clone())]),
            "charge" => Plan::Do(vec![Step::ApplyRefund(id.clone())]),
            "refund" => Plan::FetchRefund(id.clone()),
            "dispute" => Plan::Do(vec![Step::ApplyDispute(id.clone())]),
            "checkout.session" => Plan::FetchCheckoutSession(id.clone()),
            _ => Plan::Ignore,
        },
        Object::Other => Plan::Ignore,
    }
}

/// These change nothing about the subscription: a renewal would else have it fetched for every step of its invoice.
const OF_THE_INVOICE_ALONE: [&str; 2] = ["invoice.finalized", "invoice.updated"];

/// An invoice is recorded, and its subscription looked at where the event may be about that too. One that was written by
/// hand has none.
fn decide_on_invoice(kind: &str, invoice: &Invoice) -> Plan {
    let sync = invoice
        .subscription_ref()
        .filter(|_| !OF_THE_INVOICE_ALONE.contains(&kind))
        .map(str::to_owned);
    let steps: Vec<Step> = sync
        .map(Step::SyncSubscription)
        .into_iter()
        .chain(invoice.id.clone().map(Step::RecordInvoice))
        .collect();
    match steps.is_empty() {
        true => Plan::Ignore,
        false => Plan::Do(steps),
    }
}

/// What is upcoming has no id yet, and no lines of ours: they go on the draft that it becomes.
fn decide_on_upcoming(event: &Event) -> Plan {
    match &event.object {
        Object::Invoice(invoice) => match invoice.subscription_ref().map(str::to_owned) {
            Some(id) => Plan::Do(vec![
                Step::SyncSubscription(id.clone()),
                Step::AnnounceUpcoming(id),
            ]),
            None => Plan::Ignore,
        },
        _ => Plan::Ignore,
    }
}

/// A finished checkout says who the customer is; whether it was paid is the subscription's matter.
pub fn decide_on_checkout(session: &CheckoutSession) -> Plan {
    let mut steps = Vec::new();
    if let (Some(customer), Some(account_id)) = (&session.customer, session.account_id()) {
        steps.push(Step::MapCustomer {
            customer_ref: customer.0.clone(),
            account_id,
            email: session.email().map(str::to_owned),
        });
    }
    if let Some(subscription) = &session.subscription {
        steps.push(Step::SyncSubscription(subscription.0.clone()));
    }
    if steps.is_empty() {
        return Plan::Ignore;
    }
    Plan::Do(steps)
}

/// What a refund came to is the charge's matter.
pub fn decide_on_refund(refund: &Refund) -> Plan {
    match &refund.charge {
        Some(charge) => Plan::Do(vec![Step::ApplyRefund(charge.0.clone())]),
        None => Plan::Ignore,
    }
}

fn decide_on_customer(customer: &Customer) -> Plan {
    match crate::stripe::account_in(&customer.metadata) {
        Some(account_id) => Plan::Do(vec![Step::MapCustomer {
            customer_ref: customer.id.clone(),
            account_id,
            email: customer.email.clone(),
        }]),
        None => Plan::Ignore,
    }
}

fn decide_on_deleted_customer(event: &Event) -> Plan {
    match &event.object {
        Object::Customer(customer) => Plan::Do(vec![Step::CustomerDeleted(customer.id.clone())]),
        Object::Related { id, .. } => Plan::Do(vec![Step::CustomerDeleted(id.clone())]),
        _ => Plan::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSCRIPTION: &str = "sub_1SFixture0000000001";

    fn event(file: &str) -> Event {
        let path = format!(
            "{}/../tests/it/golden/webhooks/stripe/{file}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        Event::parse(&std::fs::read(path).unwrap()).unwrap()
    }

    fn check(file: &str, plan: Plan) {
        assert_eq!(decide(&event(file)), plan, "{file}");
    }

    fn sync() -> Step {
        Step::SyncSubscription(SUBSCRIPTION.into())
    }

    #[test]
    fn an_event_about_a_subscription_asks_to_fetch_it_again() {
        for shape in ["new", "old"] {
            for kind in [
                "customer.subscription.created",
                "customer.subscription.deleted.immediately",
                "customer.subscription.updated.past_due",
            ] {
                check(&format!("{shape}/{kind}"), Plan::Do(vec![sync()]));
            }
            let record = || Step::RecordInvoice("in_1SFixtureCycle01".into());
            for kind in [
                "invoice.paid.subscription_cycle",
                "invoice.payment_failed.subscription_cycle",
                // Endpoints of the replaced services may be told of this one and not of `invoice.paid`.
                "invoice.payment_succeeded.subscription_cycle",
            ] {
                check(&format!("{shape}/{kind}"), Plan::Do(vec![sync(), record()]));
            }
        }
    }

    #[test]
    fn a_step_of_an_invoice_alone_has_no_subscription_fetched() {
        for shape in ["new", "old"] {
            let finalized = event(&format!("{shape}/invoice.finalized.subscription_cycle"));
            let updated = Event {
                kind: "invoice.updated".into(),
                ..finalized.clone()
            };
            for event in [finalized, updated] {
                let record = Step::RecordInvoice("in_1SFixtureCycle01".into());
                assert_eq!(decide(&event), Plan::Do(vec![record]), "{}", event.kind);
            }
        }
    }

    #[test]
    fn a_checkout_says_whose_customer_it_is() {
        for shape in ["new", "old"] {
            let map = Step::MapCustomer {
                customer_ref: "cus_TFixture000001".into(),
                account_id: "42".into(),
                email: Some("zoe@example.com".into()),
            };
            check(
                &format!("{shape}/checkout.session.completed"),
                Plan::Do(vec![map, sync()]),
            );
        }
    }

    #[test]
    fn every_other_event_asks_for_its_object_to_be_looked_at() {
        for shape in ["new", "old"] {
            check(
                &format!("{shape}/charge.refunded.partial"),
                Plan::Do(vec![Step::ApplyRefund("ch_3SFixture01".into())]),
            );
            check(
                &format!("{shape}/charge.dispute.closed.lost"),
                Plan::Do(vec![Step::ApplyDispute("du_1SFixture01".into())]),
            );
            check(
                &format!("{shape}/customer.deleted"),
                Plan::Do(vec![Step::CustomerDeleted("cus_TFixture000001".into())]),
            );
        }
        check(
            "thin/v1.invoice.created",
            Plan::Do(vec![Step::RecordInvoice("in_1SFixtureCycle01".into())]),
        );
        let upcoming = Step::AnnounceUpcoming(SUBSCRIPTION.into());
        check(
            "new/invoice.upcoming.no_id",
            Plan::Do(vec![sync(), upcoming]),
        );
    }
}
