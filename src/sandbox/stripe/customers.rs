//! `/v1/customers`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Stripe, errors,
    events::{Both, Snapshot},
    model::{Customer, Metadata, Status},
    shapes,
};
use crate::sandbox::wire::{Params, Reply, Request};

/// Stripe's bounds of metadata.
const KEYS_MAX: usize = 50;
const KEY_MAX: usize = 40;
const VALUE_MAX: usize = 500;

impl Stripe {
    pub(super) fn create_customer(
        &mut self,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let mut customer = Customer::new(self.ids.next("cus", 14), now.timestamp());
        take_over(&mut customer, &request.params);
        let value = shapes::customer(&customer);
        self.customers.add(customer);
        Ok(value)
    }

    pub(super) fn update_customer(&mut self, id: &str, request: &Request) -> Result<Value, Reply> {
        let customer = self
            .customers
            .get_mut(id)
            .filter(|customer| !customer.is_deleted);
        let customer = customer.ok_or_else(|| errors::no_such("customer", id))?;
        take_over(customer, &request.params);
        Ok(shapes::customer(customer))
    }

    pub(super) fn get_customer(&self, id: &str) -> Result<Value, Reply> {
        let customer = self
            .customers
            .get(id)
            .ok_or_else(|| errors::no_such("customer", id))?;
        Ok(shapes::customer(customer))
    }

    pub(super) fn list_customers(&self, request: &Request) -> Result<Value, Reply> {
        let email = request.params.get("email");
        let is_wanted = |customer: &Customer| {
            !customer.is_deleted
                && email.is_none_or(|email| customer.email.as_deref() == Some(email))
        };
        self.customers.page(
            &request.params,
            "/v1/customers",
            is_wanted,
            shapes::customer,
        )
    }

    /// The customer's subscriptions end with it.
    pub(super) fn delete_customer(&mut self, id: &str, now: DateTime<Utc>) -> Result<Value, Reply> {
        self.living_customer(id)
            .map_err(|_| errors::no_such("customer", id))?;
        let own = self.subscriptions.of(id);
        let living: Vec<String> = own
            .filter(|subscription| subscription.status != Status::Canceled)
            .map(|subscription| subscription.id.clone())
            .collect();
        for subscription_id in living {
            self.end_subscription(now.timestamp(), &subscription_id, "cancellation_requested");
        }
        if let Some(customer) = self.customers.get_mut(id) {
            let object = Both::render(|_| shapes::whole_customer(customer));
            customer.is_deleted = true;
            self.emit(
                now.timestamp(),
                "customer.deleted",
                Snapshot::from(object),
                None,
            );
        }
        Ok(json!({"id": id, "object": "customer", "deleted": true}))
    }

    /// A customer that a parameter names.
    pub(super) fn living_customer(&self, id: &str) -> Result<&Customer, Reply> {
        let customer = self
            .customers
            .get(id)
            .filter(|customer| !customer.is_deleted);
        customer.ok_or_else(|| errors::no_such_reference("customer", id, "customer"))
    }
}

fn take_over(customer: &mut Customer, params: &Params) {
    if let Some(email) = params.get("email") {
        customer.email = Some(email.to_owned());
    }
    if let Some(name) = params.get("name") {
        customer.name = Some(name.to_owned());
    }
    if let Some(method) = params.get("invoice_settings[default_payment_method]") {
        customer.default_payment_method = Some(method.to_owned());
    }
    merge_metadata(&mut customer.metadata, params);
}

/// The metadata of something new, within Stripe's bounds.
pub(super) fn metadata_of(params: &Params) -> Result<Metadata, Reply> {
    let mut metadata = params.map("metadata");
    metadata.retain(|_, value| !value.is_empty());
    let fits = |(key, value): (&String, &String)| {
        key.chars().count() <= KEY_MAX && value.chars().count() <= VALUE_MAX
    };
    if metadata.len() <= KEYS_MAX && metadata.iter().all(fits) {
        Ok(metadata)
    } else {
        let message =
            "Metadata has at most 50 keys of at most 40 characters, with values of at most 500.";
        Err(errors::invalid_parameter("metadata", message))
    }
}

/// Keys are added and replaced; an empty value takes a key away.
pub(super) fn merge_metadata(metadata: &mut Metadata, params: &Params) {
    for (key, value) in params.map("metadata") {
        if value.is_empty() {
            metadata.remove(&key);
        } else {
            metadata.insert(key, value);
        }
    }
}
