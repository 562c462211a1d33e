//! Invoices on the wire, in the old and in the new shape.

use serde_json::{Value, json};

use super::{
    super::model::ApiVersion,
    lines::line,
    model::{Invoice, InvoiceStatus},
};

/// So many lines are within an invoice; the rest is fetched by itself.
const LINES_WITHIN: usize = 10;

pub fn invoice(of: &Invoice, version: ApiVersion) -> Value {
    let (total, due) = (of.total(), of.due());
    let hosted = of.finalized_at.map(|_| &of.id);
    let mut value = json!({
        "id": of.id,
        "object": "invoice",
        "amount_due": due,
        "amount_paid": of.amount_paid,
        "amount_remaining": due - of.amount_paid,
        "attempt_count": of.attempt_count,
        "attempted": of.is_attempted,
        "auto_advance": of.auto_advance,
        "automatically_finalizes_at": of.finalizes_at,
        "billing_reason": of.billing_reason,
        "collection_method": of.collection_method,
        "created": of.created,
        "currency": of.currency,
        "customer": of.customer,
        "customer_email": of.customer_email,
        "default_payment_method": of.default_payment_method,
        "description": of.description,
        "discounts": [],
        "effective_at": of.finalized_at,
        "ending_balance": of.ending_balance,
        "hosted_invoice_url": hosted.map(|id| format!("https://invoice.stripe.com/i/acct_sandbox/{id}")),
        "lines": lines(of, version),
        "livemode": false,
        "metadata": of.metadata,
        "next_payment_attempt": of.next_attempt.or(of.finalizes_at),
        "number": of.number,
        "period_start": of.period_start,
        "period_end": of.period_end,
        "post_payment_credit_notes_amount": of.credited_after_payment,
        "pre_payment_credit_notes_amount": of.credited_before_payment,
        "starting_balance": of.starting_balance,
        "status": of.status,
        "status_transitions": {
            "finalized_at": of.finalized_at,
            "marked_uncollectible_at": of.uncollectible_at,
            "paid_at": of.paid_at,
            "voided_at": of.voided_at,
        },
        "subtotal": of.subtotal(),
        "test_clock": null,
        "total": total,
        "total_discount_amounts": (of.discount() > 0).then(|| json!([{ "amount": of.discount() }])),
    });
    match version {
        ApiVersion::Old => add_old_fields(&mut value, of),
        ApiVersion::New => add_new_fields(&mut value, of),
    }
    if of.id.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.remove("id");
    }
    value
}

fn lines(of: &Invoice, version: ApiVersion) -> Value {
    let within = of.lines.iter().take(LINES_WITHIN);
    let data: Vec<Value> = within.map(|row| line(row, of, version)).collect();
    let url = if of.id.is_empty() {
        "/v1/invoices/upcoming/lines".to_owned()
    } else {
        format!("/v1/invoices/{}/lines", of.id)
    };
    let mut list = json!({
        "object": "list",
        "data": data,
        "has_more": of.lines.len() > LINES_WITHIN,
        "url": url,
    });
    if version == ApiVersion::Old {
        list["total_count"] = json!(of.lines.len());
    }
    list
}

fn add_old_fields(value: &mut Value, of: &Invoice) {
    value["charge"] = json!(of.charge);
    value["paid"] = json!(of.status == InvoiceStatus::Paid);
    value["paid_out_of_band"] = json!(of.is_paid_out_of_band);
    value["payment_intent"] = json!(of.payment_intent);
    value["subscription"] = json!(of.subscription());
    value["subscription_details"] = match &of.parent {
        Some(parent) => json!({"metadata": parent.metadata}),
        None => json!({"metadata": null}),
    };
}

fn add_new_fields(value: &mut Value, of: &Invoice) {
    value["amount_overpaid"] = json!(0);
    value["parent"] = match &of.parent {
        Some(parent) => json!({
            "type": "subscription_details",
            "quote_details": null,
            "subscription_details": {
                "metadata": parent.metadata,
                "subscription": parent.subscription,
            },
        }),
        None => Value::Null,
    };
}
