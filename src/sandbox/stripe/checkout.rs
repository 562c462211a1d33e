//! `/v1/checkout/sessions` in subscription mode, and the customer who completes one.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Stripe, errors,
    events::{Both, Snapshot},
    model::{ApiVersion, Customer, Session, Status},
    shapes,
    subscriptions::Draft,
};
use crate::sandbox::wire::{Reply, Request};

impl Stripe {
    pub(super) fn create_session(
        &mut self,
        request: &Request,
        version: ApiVersion,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let params = &request.params;
        match params.get("mode") {
            None => return Err(errors::missing_parameter("mode")),
            Some("subscription") => {}
            Some(_) => {
                return Err(errors::invalid_parameter(
                    "mode",
                    "the sandbox only has subscription mode",
                ));
            }
        }
        let price = params.get("line_items[0][price]");
        let price = price.ok_or_else(|| errors::missing_parameter("line_items[0][price]"))?;
        let price = self.price_of(price, "line_items[0][price]")?;
        if let Some(customer) = params.get("customer") {
            self.living_customer(customer)?;
        }
        let whole = |name: &str| match params.get(name).map(str::parse::<i64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(errors::invalid_parameter(name, "Invalid integer")),
        };
        let session = Session {
            id: self.ids.next("cs_test", 58),
            created: now.timestamp(),
            customer: params.get("customer").map(str::to_owned),
            customer_email: params.get("customer_email").map(str::to_owned),
            client_reference_id: params.get("client_reference_id").map(str::to_owned),
            price,
            quantity: whole("line_items[0][quantity]")?.unwrap_or(1),
            trial_days: whole("subscription_data[trial_period_days]")?
                .filter(|days| (1..=730).contains(days)),
            metadata: params.map("metadata"),
            subscription_metadata: params.map("subscription_data[metadata]"),
            success_url: params.get("success_url").map(str::to_owned),
            subscription: None,
            invoice: None,
            is_complete: false,
        };
        let value = shapes::session(&session, version);
        self.sessions.add(session);
        Ok(value)
    }

    pub(super) fn get_session(&self, id: &str, version: ApiVersion) -> Result<Value, Reply> {
        let session = self
            .sessions
            .get(id)
            .ok_or_else(|| errors::no_such("checkout.session", id))?;
        Ok(shapes::session(session, version))
    }

    /// The customer pays: the subscription begins `incomplete`, is paid, becomes active, and the
    /// session is complete. Returns the subscription's id, none when there is no such open session.
    pub(in crate::sandbox) fn complete_session(
        &mut self,
        id: &str,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let session = self
            .sessions
            .get(id)
            .filter(|session| !session.is_complete)
            .cloned()?;
        let at = now.timestamp();
        let customer = match session.customer {
            Some(customer) => customer,
            None => self.customer_of_checkout(session.customer_email, at),
        };
        let trial_end = session.trial_days.map(|days| at + days * 24 * 60 * 60);
        let draft = Draft {
            customer: customer.clone(),
            items: vec![(session.price, session.quantity)],
            metadata: session.subscription_metadata,
            trial_end,
            default_payment_method: Some(self.ids.next("pm", 24)),
            status: trial_end.map_or(Status::Incomplete, |_| Status::Trialing),
            collects: true,
            ..Draft::default()
        };
        let subscription = self.begin_subscription(at, draft);
        let invoice = self
            .subscriptions
            .get(&subscription)
            .and_then(|row| row.latest_invoice.clone());
        if let Some(session) = self.sessions.get_mut(id) {
            session.customer = Some(customer);
            session.subscription = Some(subscription.clone());
            session.invoice = invoice;
            session.is_complete = true;
            let object = Both::render(|version| shapes::session(session, version));
            self.emit(
                at,
                "checkout.session.completed",
                Snapshot::from(object),
                None,
            );
        }
        Some(subscription)
    }

    fn customer_of_checkout(&mut self, email: Option<String>, at: i64) -> String {
        let id = self.ids.next("cus", 14);
        self.customers.add(Customer {
            email,
            ..Customer::new(id.clone(), at)
        });
        id
    }
}
