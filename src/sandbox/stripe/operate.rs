//! What the sandbox's owner can do with its Stripe beside the API: sign customers up, let payments
//! fail, look at events.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    ApiVersion, BookedInvoice, Standing, Stripe,
    events::Event,
    model::{Customer, Metadata, Session, Status},
};
use crate::signature::stripe::sign;

/// A person who goes through Checkout.
#[derive(Debug, Clone, Default)]
pub struct SignUp {
    /// The session's `client_reference_id`, and `user_id` in the metadata of customer and subscription.
    pub user_id: String,
    pub email: String,
    /// A price that exists: see `Sandbox::add_price`.
    pub price_id: String,
    pub trial_days: Option<i64>,
    /// Further metadata of the subscription.
    pub metadata: Metadata,
}

/// What a sign-up made.
#[derive(Debug, Clone, Serialize)]
pub struct SignedUp {
    pub customer_id: String,
    pub subscription_id: String,
    /// Of the price, in the subscription.
    pub item_id: String,
    pub session_id: String,
}

/// One event, and how its delivery stands.
#[derive(Debug, Clone, Serialize)]
pub struct EventSummary {
    pub id: String,
    pub event_type: &'static str,
    /// Unix seconds.
    pub created: i64,
    /// The id of the object it is about.
    pub object_id: String,
    /// By endpoint.
    pub standings: Vec<(String, Standing)>,
}

/// An event as it goes over the wire.
#[derive(Debug, Clone)]
pub struct SignedEvent {
    pub body: String,
    /// The value of `Stripe-Signature`.
    pub signature: String,
}

impl Stripe {
    /// A customer, a session, and its completion. Fails with a sentence when there is no such price.
    pub(in crate::sandbox) fn sign_up(
        &mut self,
        who: &SignUp,
        now: DateTime<Utc>,
    ) -> Result<SignedUp, String> {
        let Some(price) = self.prices.get(&who.price_id).cloned() else {
            return Err(format!(
                "there is no price {:?} in the sandbox",
                who.price_id
            ));
        };
        let user = Metadata::from([("user_id".to_owned(), who.user_id.clone())]);
        let mut subscription_metadata = who.metadata.clone();
        subscription_metadata.extend(user.clone());
        let customer_id = self.ids.next("cus", 14);
        self.customers.add(Customer {
            email: Some(who.email.clone()),
            metadata: user.clone(),
            ..Customer::new(customer_id.clone(), now.timestamp())
        });
        let session_id = self.ids.next("cs_test", 58);
        self.sessions.add(Session {
            id: session_id.clone(),
            created: now.timestamp(),
            customer: Some(customer_id.clone()),
            customer_email: Some(who.email.clone()),
            client_reference_id: Some(who.user_id.clone()),
            price,
            quantity: 1,
            trial_days: who.trial_days,
            metadata: user,
            subscription_metadata,
            success_url: None,
            subscription: None,
            invoice: None,
            is_complete: false,
        });
        let subscription_id = self.complete_session(&session_id, now);
        let subscription_id = subscription_id.expect("the session was opened just now");
        let subscription = self.subscriptions.get(&subscription_id);
        let item = subscription.and_then(|row| row.items.first());
        Ok(SignedUp {
            customer_id,
            item_id: item.map(|item| item.id.clone()).unwrap_or_default(),
            subscription_id,
            session_id,
        })
    }

    /// Put a subscription into any state, with the events of it. False when there is none.
    pub(in crate::sandbox) fn set_status(
        &mut self,
        id: &str,
        status: Status,
        now: DateTime<Utc>,
    ) -> bool {
        let at = now.timestamp();
        let Some(subscription) = self.subscriptions.get(id) else {
            return false;
        };
        match (subscription.status, status) {
            (_, Status::Canceled) => self.end_subscription(at, id, "payment_failed"),
            (_, Status::Paused) => self.pause(at, id),
            (Status::Paused, Status::Active) => self.resume(at, id),
            (_, status) => {
                self.change_subscription(at, id, |subscription| subscription.status = status)
            }
        }
        true
    }

    /// A customer's payments fail from now on. False when there is no such customer.
    pub(in crate::sandbox) fn let_payments_fail(&mut self, customer_id: &str) -> bool {
        let customer = self.customers.get_mut(customer_id);
        customer.map(|customer| customer.pays = false).is_some()
    }

    /// A customer's payments succeed again. False when there is no such customer.
    pub(in crate::sandbox) fn let_payments_succeed(&mut self, customer_id: &str) -> bool {
        let customer = self.customers.get_mut(customer_id);
        customer.map(|customer| customer.pays = true).is_some()
    }

    /// Send an event again to every endpoint, whatever became of it, as a resend in the Dashboard
    /// does. False when there is no such event.
    pub(in crate::sandbox) fn resend(&mut self, event_id: &str) -> bool {
        let Some(event) = self.events.get(event_id) else {
            return false;
        };
        for (endpoint_id, _) in event.standings.clone() {
            self.post.send(event_id, &endpoint_id, Duration::ZERO);
        }
        true
    }

    /// Oldest first.
    pub(in crate::sandbox) fn event_summaries(&self) -> Vec<EventSummary> {
        let summary = |event: &Event| EventSummary {
            id: event.id.clone(),
            event_type: event.kind,
            created: event.created,
            object_id: event.object_id.clone(),
            standings: event.standings.clone(),
        };
        self.events.all().iter().map(summary).collect()
    }

    /// An event as an endpoint of that version would get it.
    pub(in crate::sandbox) fn signed_event(
        &self,
        event_id: &str,
        version: ApiVersion,
        secret: &str,
        now: DateTime<Utc>,
    ) -> Option<SignedEvent> {
        let body = self.events.get(event_id)?.body(version);
        let signature = sign(secret, body.as_bytes(), now.timestamp());
        Some(SignedEvent { body, signature })
    }

    /// What was ever billed.
    pub(in crate::sandbox) fn books(&self) -> &[BookedInvoice] {
        self.books.rows()
    }

    /// A count of every kind of object.
    pub(in crate::sandbox) fn summary(&self) -> Value {
        let mut subscriptions: BTreeMap<String, usize> = BTreeMap::new();
        for subscription in self.subscriptions.all() {
            let status = json!(subscription.status)
                .as_str()
                .unwrap_or_default()
                .to_owned();
            *subscriptions.entry(status).or_default() += 1;
        }
        json!({
            "customers": self.customers.all().iter().filter(|customer| !customer.is_deleted).count(),
            "prices": self.prices.all().iter().map(|price| &price.id).collect::<Vec<_>>(),
            "subscriptions": subscriptions,
            "invoices": self.invoices.all().len(),
            "events": self.events.all().len(),
            "events_not_delivered": self.events.all().iter().filter(|event| !event.is_delivered()).count(),
            "delivery_attempts": self.post.attempts,
        })
    }
}
