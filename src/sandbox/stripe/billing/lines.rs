//! The lines of an invoice: how they are made, shown, and listed by themselves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::{
        Stripe, errors,
        model::{ApiVersion, Interval, Item, Price, Subscription},
        shapes,
        shelf::limit,
    },
    Ask,
    model::{Invoice, InvoiceItem, Line, LineKind, Pricing},
};
use crate::sandbox::wire::Reply;

/// Stripe's bound.
pub(super) const LINES_MAX: usize = 250;

impl Pricing {
    pub fn of(price: &Price) -> Pricing {
        Pricing {
            price: price.id.clone(),
            product: price.product.clone(),
            unit_amount_decimal: price.unit_amount.to_string(),
            recurring: Some(price.clone()),
        }
    }
}

/// The line of a subscription's item for the period that it is in. Nothing is due for a trial.
pub(super) fn of_subscription(id: String, item: &Item, of: &Subscription, is_trial: bool) -> Line {
    let price = &item.price;
    let description = if is_trial {
        format!("Trial period for {}", price.product)
    } else {
        format!("{} × {} (at {})", item.quantity, price.product, rate(price))
    };
    Line {
        id,
        kind: LineKind::Subscription,
        item: None,
        subscription: Some(of.id.clone()),
        subscription_item: Some(item.id.clone()),
        amount: if is_trial { 0 } else { item.amount() },
        currency: price.currency.clone(),
        description: Some(description),
        metadata: of.metadata.clone(),
        period_start: of.period_start,
        period_end: of.period_end,
        quantity: item.quantity,
        pricing: Pricing::of(price),
        is_discountable: true,
    }
}

/// As a person reads a price: `29.00 usd / month`.
fn rate(price: &Price) -> String {
    let interval = match price.interval {
        Interval::Day => "day",
        Interval::Week => "week",
        Interval::Month => "month",
        Interval::Year => "year",
    };
    let (whole, cents) = (price.unit_amount / 100, price.unit_amount % 100);
    format!("{whole}.{cents:02} {} / {interval}", price.currency)
}

pub(super) fn line(row: &Line, of: &Invoice, version: ApiVersion) -> Value {
    let mut value = json!({
        "id": row.id,
        "object": "line_item",
        "amount": row.amount,
        "currency": row.currency,
        "description": row.description,
        "discountable": row.is_discountable,
        "discounts": [],
        "invoice": (!of.id.is_empty()).then_some(&of.id),
        "livemode": false,
        "metadata": row.metadata,
        "period": {"start": row.period_start, "end": row.period_end},
        "quantity": row.quantity,
        "subscription": row.subscription,
    });
    match version {
        ApiVersion::Old => add_old_fields(&mut value, row),
        ApiVersion::New => add_new_fields(&mut value, row),
    }
    value
}

fn add_old_fields(value: &mut Value, row: &Line) {
    value["proration"] = json!(row.kind == LineKind::Proration);
    match &row.pricing.recurring {
        Some(price) => {
            value["price"] = shapes::price(price);
            value["plan"] = shapes::plan(price);
        }
        None => {
            value["price"] = one_time_price(&row.pricing, &row.currency);
            value["plan"] = Value::Null;
        }
    }
    match &row.item {
        Some(item) => {
            value["type"] = json!("invoiceitem");
            value["invoice_item"] = json!(item);
        }
        None => value["type"] = json!("subscription"),
    }
    if let Some(item) = &row.subscription_item {
        value["subscription_item"] = json!(item);
    }
}

fn add_new_fields(value: &mut Value, row: &Line) {
    let is_proration = row.kind == LineKind::Proration;
    value["parent"] = match &row.item {
        Some(item) => json!({
            "type": "invoice_item_details",
            "invoice_item_details": {
                "invoice_item": item,
                "proration": is_proration,
                "proration_details": {"credited_items": null},
                "subscription": row.subscription,
            },
            "subscription_item_details": null,
        }),
        None => json!({
            "type": "subscription_item_details",
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": null,
                "proration": is_proration,
                "proration_details": {"credited_items": null},
                "subscription": row.subscription,
                "subscription_item": row.subscription_item,
            },
        }),
    };
    value["pricing"] = pricing(&row.pricing);
    value["quantity_decimal"] = json!(row.quantity.to_string());
}

pub(super) fn pricing(of: &Pricing) -> Value {
    json!({
        "type": "price_details",
        "price_details": {"price": of.price, "product": of.product},
        "unit_amount_decimal": of.unit_amount_decimal,
    })
}

/// The price Stripe makes for one item that only has an amount, as the old shape shows it.
pub(super) fn one_time_price(of: &Pricing, currency: &str) -> Value {
    json!({
        "id": of.price,
        "object": "price",
        "active": false,
        "billing_scheme": "per_unit",
        "currency": currency,
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": null,
        "metadata": {},
        "nickname": null,
        "product": of.product,
        "recurring": null,
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": "one_time",
        "unit_amount": of.unit_amount_decimal.parse::<i64>().ok(),
        "unit_amount_decimal": of.unit_amount_decimal,
    })
}

impl Stripe {
    /// `GET /v1/invoices/{id}/lines`: in the order of the invoice.
    pub(super) fn list_lines(&self, id: &str, ask: Ask) -> Result<Value, Reply> {
        let invoice = self.invoice(id)?;
        let limit = limit(ask.params)?;
        let position = |name: &str| match ask.params.get(name) {
            None => Ok(None),
            Some(id) => match invoice.lines.iter().position(|line| line.id == id) {
                None => Err(errors::no_such_reference("line item", id, name)),
                found => Ok(found),
            },
        };
        let from = position("starting_after")?.map_or(0, |position| position + 1);
        let until = position("ending_before")?.unwrap_or(invoice.lines.len());
        let rows = invoice.lines.get(from..until).unwrap_or_default();
        let page = rows.iter().take(limit);
        let data: Vec<Value> = page.map(|row| line(row, invoice, ask.version)).collect();
        Ok(json!({
            "object": "list",
            "data": data,
            "has_more": rows.len() > limit,
            "url": format!("/v1/invoices/{id}/lines"),
        }))
    }

    /// Put an item on an invoice; the caller has seen that there is room.
    pub(super) fn attach(&mut self, at: i64, item_id: &str, invoice_id: &str) {
        let id = self.ids.next("il", 24);
        let Some(item) = self.items.get_mut(item_id) else {
            return;
        };
        item.invoice = Some(invoice_id.to_owned());
        let line = Line {
            id,
            ..item.line.clone()
        };
        self.update_invoice(at, invoice_id, |invoice| {
            Arc::make_mut(&mut invoice.lines).push(line);
        });
    }

    /// The customer's pending items for an invoice, oldest first. With a subscription: its own and
    /// those of none. Only those of the invoice's currency.
    pub(super) fn pending_for<'a>(
        &'a self,
        invoice: &'a Invoice,
    ) -> impl Iterator<Item = &'a InvoiceItem> {
        let subscription = invoice.subscription();
        let is_for_it = move |line: &Line| {
            line.currency == invoice.currency
                && (subscription.is_none()
                    || line.subscription.is_none()
                    || line.subscription.as_deref() == subscription)
        };
        let own = self.items.of(&invoice.customer);
        own.filter(move |item| item.invoice.is_none() && !item.is_deleted && is_for_it(&item.line))
    }

    /// Put the customer's pending items on a new draft, as many as have room; nobody is told yet.
    pub(super) fn attach_pending(&mut self, invoice_id: &str) {
        let Some(invoice) = self.invoices.get(invoice_id) else {
            return;
        };
        let room = LINES_MAX.saturating_sub(invoice.lines.len());
        let pending = self.pending_for(invoice).take(room);
        let pending: Vec<String> = pending.map(|item| item.id.clone()).collect();
        self.attach_silently(invoice_id, &pending);
    }

    /// Put pending items on an invoice; nobody is told yet.
    pub(super) fn attach_silently(&mut self, invoice_id: &str, item_ids: &[String]) {
        let mut lines = Vec::new();
        for item_id in item_ids {
            let id = self.ids.next("il", 24);
            if let Some(item) = self.items.get_mut(item_id) {
                item.invoice = Some(invoice_id.to_owned());
                lines.push(Line {
                    id,
                    ..item.line.clone()
                });
            }
        }
        self.change_invoice(invoice_id, |invoice| {
            Arc::make_mut(&mut invoice.lines).extend(lines);
        });
    }
}
