//! `/v1/subscriptions`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Stripe,
    billing::shape,
    changes::{flag, trial_end},
    errors,
    model::{ApiVersion, Item, Metadata, Price, Status, Subscription},
    shapes,
};
use crate::sandbox::wire::{Reply, Request};

/// What a new subscription is made of.
#[derive(Default)]
pub(super) struct Draft {
    pub customer: String,
    pub items: Vec<(Price, i64)>,
    pub metadata: Metadata,
    pub trial_end: Option<i64>,
    pub default_payment_method: Option<String>,
    pub missing_payment_method: Option<String>,
    pub cancel_at_period_end: bool,
    /// It begins so.
    pub status: Status,
    /// Its first invoice is charged at once.
    pub collects: bool,
}

impl Stripe {
    pub(super) fn create_subscription(
        &mut self,
        request: &Request,
        version: ApiVersion,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let params = &request.params;
        let customer = params
            .get("customer")
            .ok_or_else(|| errors::missing_parameter("customer"))?;
        let customer = self.living_customer(customer)?;
        let at = now.timestamp();
        let pays = customer.pays;
        let own_method = params.get("default_payment_method").map(str::to_owned);
        let mut draft = Draft {
            customer: customer.id.clone(),
            metadata: params.map("metadata"),
            default_payment_method: own_method.or_else(|| customer.default_payment_method.clone()),
            missing_payment_method: params
                .get("trial_settings[end_behavior][missing_payment_method]")
                .map(str::to_owned),
            trial_end: trial_end(params, at)?.filter(|end| *end > at),
            cancel_at_period_end: flag(params, "cancel_at_period_end")?.unwrap_or(false),
            ..Draft::default()
        };
        for (index, item) in self.items_of(params, "items")?.into_iter().enumerate() {
            let price = item.price;
            let price = price
                .ok_or_else(|| errors::missing_parameter(&format!("items[{index}][price]")))?;
            draft.items.push((price, item.quantity.unwrap_or(1)));
        }
        if draft.items.is_empty() {
            return Err(errors::missing_parameter("items"));
        }
        draft.collects = params.get("payment_behavior") != Some("default_incomplete");
        draft.status = match draft.trial_end {
            Some(_) => Status::Trialing,
            None if draft.collects && pays => Status::Active,
            None => Status::Incomplete,
        };
        let id = self.begin_subscription(at, draft);
        self.get_subscription(&id, request, version)
    }

    /// Add a subscription and its first invoice, and tell of both. Returns its id.
    pub(super) fn begin_subscription(&mut self, at: i64, draft: Draft) -> String {
        let id = self.ids.next("sub", 24);
        let items: Vec<Item> = draft
            .items
            .into_iter()
            .map(|(price, quantity)| Item {
                id: self.ids.next("si", 14),
                created: at,
                price,
                quantity,
            })
            .collect();
        let anchor = draft.trial_end.unwrap_or(at);
        let first_end = items
            .first()
            .map_or(at, |item| item.price.period_end(at, at));
        self.subscriptions.add(Subscription {
            id: id.clone(),
            created: at,
            customer: draft.customer,
            status: draft.status,
            items,
            metadata: draft.metadata,
            anchor,
            period_start: at,
            period_end: draft.trial_end.unwrap_or(first_end),
            trial_start: draft.trial_end.map(|_| at),
            trial_end: draft.trial_end,
            trial_end_announced: false,
            announced_end: None,
            missing_payment_method: draft
                .missing_payment_method
                .unwrap_or_else(|| "create_invoice".to_owned()),
            default_payment_method: draft.default_payment_method,
            cancel_at_period_end: draft.cancel_at_period_end,
            canceled_at: draft.cancel_at_period_end.then_some(at),
            ended_at: None,
            cancellation_reason: draft
                .cancel_at_period_end
                .then_some("cancellation_requested"),
            pause_behavior: None,
            paused_at: None,
            pause_reason: "trial_end_without_payment_method",
            latest_invoice: None,
        });
        self.emit_subscription(at, "customer.subscription.created", &id);
        self.schedule(&id);
        self.first_invoice(at, &id, draft.collects);
        id
    }

    pub(super) fn get_subscription(
        &self,
        id: &str,
        request: &Request,
        version: ApiVersion,
    ) -> Result<Value, Reply> {
        let subscription = self
            .subscriptions
            .get(id)
            .ok_or_else(|| errors::no_such("subscription", id))?;
        let mut value = shapes::subscription(subscription, version);
        let expand = request.params.list("expand");
        if expand.contains(&"customer") {
            value["customer"] = self.get_customer(&subscription.customer)?;
        }
        if let (true, Some(invoice)) = (
            expand.contains(&"latest_invoice"),
            &subscription.latest_invoice,
        ) {
            value["latest_invoice"] = shape::invoice(self.invoice(invoice)?, version);
        }
        Ok(value)
    }

    /// Ended ones only with `status=all` or `status=canceled`.
    pub(super) fn list_subscriptions(
        &self,
        request: &Request,
        version: ApiVersion,
    ) -> Result<Value, Reply> {
        let params = &request.params;
        let (customer, status) = (params.get("customer"), params.get("status"));
        let is_wanted = |subscription: &Subscription| match status {
            None => subscription.status != Status::Canceled,
            Some("all") => true,
            Some(status) => json!(subscription.status) == status,
        };
        let render = |subscription: &Subscription| shapes::subscription(subscription, version);
        self.subscriptions
            .page_of(customer, params, "/v1/subscriptions", is_wanted, render)
    }
}
