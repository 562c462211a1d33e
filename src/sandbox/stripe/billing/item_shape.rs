//! Invoice items on the wire, in the old and in the new shape.

use serde_json::{Value, json};

use super::{
    super::{model::ApiVersion, shapes},
    lines::{one_time_price, pricing},
    model::{InvoiceItem, LineKind},
};

pub(super) fn item(of: &InvoiceItem, version: ApiVersion) -> Value {
    let line = &of.line;
    let mut value = json!({
        "id": of.id,
        "object": "invoiceitem",
        "amount": line.amount,
        "currency": line.currency,
        "customer": of.customer,
        "date": of.created,
        "description": line.description,
        "discountable": line.is_discountable,
        "discounts": [],
        "invoice": of.invoice,
        "livemode": false,
        "metadata": line.metadata,
        "period": {"start": line.period_start, "end": line.period_end},
        "proration": line.kind == LineKind::Proration,
        "quantity": line.quantity,
        "tax_rates": [],
        "test_clock": null,
    });
    match version {
        ApiVersion::Old => {
            let decimal = &line.pricing.unit_amount_decimal;
            value["plan"] = Value::Null;
            value["price"] = match &line.pricing.recurring {
                Some(price) => shapes::price(price),
                None => one_time_price(&line.pricing, &line.currency),
            };
            value["subscription"] = json!(line.subscription);
            value["unit_amount"] = json!(decimal.parse::<i64>().ok());
            value["unit_amount_decimal"] = json!(decimal);
        }
        ApiVersion::New => {
            value["parent"] = match &line.subscription {
                Some(subscription) => json!({
                    "type": "subscription_details",
                    "subscription_details": {
                        "subscription": subscription,
                        "subscription_item": line.subscription_item,
                    },
                }),
                None => Value::Null,
            };
            value["pricing"] = pricing(&line.pricing);
            value["quantity_decimal"] = json!(line.quantity.to_string());
        }
    }
    value
}
