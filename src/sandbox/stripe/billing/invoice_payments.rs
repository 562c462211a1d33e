//! `/v1/invoice_payments`: since basil the way from a payment to its invoice.

use serde_json::{Value, json};

use super::{
    super::{Stripe, errors},
    Ask,
    model::{Invoice, InvoiceStatus},
};
use crate::sandbox::wire::Reply;

impl Stripe {
    /// By `payment[payment_intent]` with `payment[type]=payment_intent`, or by `invoice`.
    pub(super) fn list_invoice_payments(&self, ask: Ask) -> Result<Value, Reply> {
        let params = ask.params;
        let invoice = match (params.get("payment[payment_intent]"), params.get("invoice")) {
            (Some(intent), _) => {
                if params.get("payment[type]") != Some("payment_intent") {
                    return Err(errors::missing_parameter("payment[type]"));
                }
                let invoice = self.invoice_of_intent.get(intent);
                invoice.and_then(|id| self.invoices.get(id))
            }
            (None, Some(id)) => Some(self.invoice(id)?),
            (None, None) => return Err(errors::missing_parameter("invoice")),
        };
        let found = invoice.map(payments);
        let data = found.unwrap_or_default();
        Ok(list(data, "/v1/invoice_payments".to_owned()))
    }
}

/// What an invoice shows as `payments` when asked to.
pub(super) fn within(invoice: &Invoice) -> Value {
    let url = format!("/v1/invoice_payments?invoice={}", invoice.id);
    list(payments(invoice), url)
}

fn list(data: Vec<Value>, url: String) -> Value {
    json!({"object": "list", "data": data, "has_more": false, "url": url})
}

/// The one payment of an invoice, once there is something to pay.
fn payments(of: &Invoice) -> Vec<Value> {
    let Some(intent) = &of.payment_intent else {
        return Vec::new();
    };
    let status = match of.status {
        InvoiceStatus::Paid => "paid",
        InvoiceStatus::Void => "canceled",
        _ => "open",
    };
    vec![json!({
        "id": intent.replacen("pi_", "inpay_", 1),
        "object": "invoice_payment",
        "amount_paid": of.charge.is_some().then_some(of.amount_paid),
        "amount_requested": of.amount_due,
        "created": of.finalized_at,
        "currency": of.currency,
        "invoice": of.id,
        "is_default": true,
        "livemode": false,
        "payment": {"type": "payment_intent", "payment_intent": intent},
        "status": status,
        "status_transitions": {"canceled_at": of.voided_at, "paid_at": of.paid_at},
    })]
}
