//! Invoices on the wire, in the old and in the new shape.

use serde_json::{Value, json};

use super::{
    model::{ApiVersion, Invoice, InvoiceStatus, Item},
    shapes::{plan, price},
};

pub fn invoice(of: &Invoice, version: ApiVersion) -> Value {
    let is_paid = of.status == InvoiceStatus::Paid;
    let paid = if is_paid { of.amount } else { 0 };
    let is_first = of.billing_reason == "subscription_create";
    let lines: Vec<Value> = of
        .subscription
        .items
        .iter()
        .map(|row| line(row, of, version))
        .collect();
    let mut value = json!({
        "id": of.id,
        "object": "invoice",
        "amount_due": of.amount,
        "amount_paid": paid,
        "amount_remaining": of.amount - paid,
        "attempt_count": u8::from(is_paid),
        "attempted": is_paid,
        "auto_advance": of.status == InvoiceStatus::Draft && of.finalizes_at.is_some(),
        "automatically_finalizes_at": of.finalizes_at,
        "billing_reason": of.billing_reason,
        "collection_method": "charge_automatically",
        "created": of.created,
        "currency": "usd",
        "customer": of.customer,
        "customer_email": of.customer_email,
        "default_payment_method": null,
        "description": null,
        "discounts": [],
        "ending_balance": of.finalized_at.map(|_| 0),
        "lines": {
            "object": "list",
            "data": lines,
            "has_more": false,
            "url": format!("/v1/invoices/{}/lines", of.id),
        },
        "livemode": false,
        "metadata": {},
        "next_payment_attempt": of.finalizes_at,
        "number": of.finalized_at.map(|_| format!("SANDBOX-{}", &of.id[of.id.len() - 8..])),
        "period_start": if is_first { of.created } else { of.period_start },
        "period_end": if is_first { of.created } else { of.period_end },
        "starting_balance": 0,
        "status": of.status,
        "status_transitions": {
            "finalized_at": of.finalized_at,
            "marked_uncollectible_at": null,
            "paid_at": of.paid_at,
            "voided_at": null,
        },
        "subtotal": of.amount,
        "test_clock": null,
        "total": of.amount,
    });
    add_subscription(&mut value, of, version);
    value
}

/// Which subscription it is for, and whether it is paid: the fields that moved.
fn add_subscription(value: &mut Value, of: &Invoice, version: ApiVersion) {
    let metadata = &of.subscription.metadata;
    match version {
        ApiVersion::Old => {
            let is_paid = of.status == InvoiceStatus::Paid;
            value["paid"] = json!(is_paid);
            value["paid_out_of_band"] = json!(false);
            value["subscription"] = json!(of.subscription.id);
            value["subscription_details"] = json!({"metadata": metadata});
        }
        ApiVersion::New => {
            value["amount_overpaid"] = json!(0);
            value["parent"] = json!({
                "type": "subscription_details",
                "quote_details": null,
                "subscription_details": {"metadata": metadata, "subscription": of.subscription.id},
            });
        }
    }
}

/// A line covers the period that begins; the invoice's own period is the one that ended.
fn line(row: &Item, of: &Invoice, version: ApiVersion) -> Value {
    let amount = if of.amount == 0 { 0 } else { row.amount() };
    let mut value = json!({
        "id": format!("il_{}", &row.id["si_".len()..]),
        "object": "line_item",
        "amount": amount,
        "currency": "usd",
        "description": format!("{} × {}", row.quantity, row.price.product),
        "discountable": true,
        "discounts": [],
        "invoice": of.id,
        "livemode": false,
        "metadata": of.subscription.metadata,
        "period": {"start": of.subscription.period_start, "end": of.subscription.period_end},
        "quantity": row.quantity,
        "subscription": of.subscription.id,
    });
    match version {
        ApiVersion::Old => {
            value["price"] = price(&row.price);
            value["plan"] = plan(&row.price);
            value["proration"] = json!(false);
            value["subscription_item"] = json!(row.id);
            value["type"] = json!("subscription");
        }
        ApiVersion::New => {
            value["parent"] = json!({
                "type": "subscription_item_details",
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null,
                    "proration": false,
                    "subscription": of.subscription.id,
                    "subscription_item": row.id,
                },
            });
            value["pricing"] = json!({
                "type": "price_details",
                "price_details": {"price": row.price.id, "product": row.price.product},
                "unit_amount_decimal": row.price.unit_amount.to_string(),
            });
            value["quantity_decimal"] = json!(row.quantity.to_string());
        }
    }
    value
}
