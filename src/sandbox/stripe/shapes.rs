//! Stripe's objects on the wire, in the old and in the new shape.

use serde_json::{Value, json};

use super::model::{ApiVersion, Customer, Item, Price, Session, Status, Subscription};

pub fn customer(customer: &Customer) -> Value {
    if customer.is_deleted {
        return json!({"id": customer.id, "object": "customer", "deleted": true});
    }
    whole_customer(customer)
}

/// All of it, even when deleted: as `customer.deleted` carries it.
pub fn whole_customer(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "object": "customer",
        "address": null,
        "balance": customer.balance,
        "created": customer.created,
        "currency": "usd",
        "default_source": null,
        "delinquent": !customer.pays,
        "description": null,
        "email": customer.email,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": customer.default_payment_method,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": false,
        "metadata": customer.metadata,
        "name": customer.name,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

pub fn price(price: &Price) -> Value {
    json!({
        "id": price.id,
        "object": "price",
        "active": true,
        "billing_scheme": "per_unit",
        "created": price.created,
        "currency": price.currency,
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": null,
        "metadata": price.metadata,
        "nickname": null,
        "product": price.product,
        "recurring": {
            "interval": price.interval,
            "interval_count": price.interval_count,
            "meter": null,
            "trial_period_days": null,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": "recurring",
        "unit_amount": price.unit_amount,
        "unit_amount_decimal": price.unit_amount.to_string(),
    })
}

/// The price as the older API called it.
pub(super) fn plan(price: &Price) -> Value {
    json!({
        "id": price.id,
        "object": "plan",
        "active": true,
        "amount": price.unit_amount,
        "amount_decimal": price.unit_amount.to_string(),
        "billing_scheme": "per_unit",
        "created": price.created,
        "currency": price.currency,
        "interval": price.interval,
        "interval_count": price.interval_count,
        "livemode": false,
        "metadata": price.metadata,
        "meter": null,
        "nickname": null,
        "product": price.product,
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}

fn item(item: &Item, of: &Subscription, version: ApiVersion) -> Value {
    let mut value = json!({
        "id": item.id,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": item.created,
        "discounts": [],
        "metadata": {},
        "plan": plan(&item.price),
        "price": price(&item.price),
        "quantity": item.quantity,
        "subscription": of.id,
        "tax_rates": [],
    });
    if version == ApiVersion::New {
        value["current_period_start"] = json!(of.period_start);
        value["current_period_end"] = json!(of.period_end);
        value["current_trial"] = Value::Null;
    }
    value
}

pub fn subscription(of: &Subscription, version: ApiVersion) -> Value {
    let items: Vec<Value> = of.items.iter().map(|row| item(row, of, version)).collect();
    let mut value = json!({
        "id": of.id,
        "object": "subscription",
        "application": null,
        "automatic_tax": {"disabled_reason": null, "enabled": false, "liability": null},
        "billing_cycle_anchor": of.anchor,
        "billing_thresholds": null,
        "cancel_at": of.cancel_at_period_end.then_some(of.period_end),
        "cancel_at_period_end": of.cancel_at_period_end,
        "canceled_at": of.canceled_at,
        "cancellation_details": {"comment": null, "feedback": null, "reason": of.cancellation_reason},
        "collection_method": "charge_automatically",
        "created": of.created,
        "currency": "usd",
        "customer": of.customer,
        "days_until_due": null,
        "default_payment_method": of.default_payment_method,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "ended_at": of.ended_at,
        "invoice_settings": {"account_tax_ids": null, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": items,
            "has_more": false,
            "url": format!("/v1/subscription_items?subscription={}", of.id),
        },
        "latest_invoice": of.latest_invoice,
        "livemode": false,
        "metadata": of.metadata,
        "pause_collection": of.pause_behavior.as_ref().map(|behavior| {
            json!({"behavior": behavior, "resumes_at": null})
        }),
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "start_date": of.created,
        "status": of.status,
        "test_clock": null,
        "trial_end": of.trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": of.missing_payment_method}},
        "trial_start": of.trial_start,
    });
    match version {
        ApiVersion::Old => old_subscription_fields(&mut value, of),
        ApiVersion::New => new_subscription_fields(&mut value, of),
    }
    value
}

fn old_subscription_fields(value: &mut Value, of: &Subscription) {
    value["current_period_start"] = json!(of.period_start);
    value["current_period_end"] = json!(of.period_end);
    value["discount"] = Value::Null;
    value["items"]["total_count"] = json!(of.items.len());
    if let [only] = of.items.as_slice() {
        value["plan"] = plan(&only.price);
        value["quantity"] = json!(only.quantity);
    }
}

fn new_subscription_fields(value: &mut Value, of: &Subscription) {
    value["billing_mode"] = json!({
        "type": "flexible",
        "flexible": {"proration_discounts": "included"},
        "updated_at": of.created,
    });
    if of.status == Status::Paused {
        value["status_details"] = json!({"paused": {
            "subscription": {"type": of.pause_reason},
            "transitioned_at": of.paused_at,
            "type": "subscription",
        }});
    }
}

pub fn session(of: &Session, version: ApiVersion) -> Value {
    let amount = if of.trial_days.is_some() {
        0
    } else {
        of.price.unit_amount.saturating_mul(of.quantity)
    };
    json!({
        "id": of.id,
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "client_reference_id": of.client_reference_id,
        "created": of.created,
        "currency": of.price.currency,
        "customer": of.customer,
        "customer_details": of.is_complete.then(|| json!({"email": of.customer_email, "name": null, "phone": null})),
        "customer_email": of.customer_email,
        "expires_at": of.created + 24 * 60 * 60,
        "invoice": of.invoice,
        "livemode": false,
        "metadata": of.metadata,
        "mode": "subscription",
        "payment_intent": null,
        "payment_method_types": ["card"],
        "payment_status": match (of.is_complete, of.trial_days) {
            (false, _) => "unpaid",
            (true, None) => "paid",
            (true, Some(_)) => "no_payment_required",
        },
        "setup_intent": null,
        "status": if of.is_complete { "complete" } else { "open" },
        "subscription": of.subscription,
        "success_url": of.success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": match version {
            ApiVersion::Old => "hosted",
            ApiVersion::New => "hosted_page",
        },
        "url": (!of.is_complete).then(|| format!("https://checkout.stripe.com/c/pay/{}", of.id)),
    })
}
