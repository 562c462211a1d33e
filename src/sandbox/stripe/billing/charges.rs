//! Charges, what is given back of them, and whom of them a bank takes back.

use serde_json::{Value, json};

use super::{
    super::{
        Stripe,
        customers::metadata_of,
        errors,
        events::{Both, Snapshot},
        filters::Created,
        model::{ApiVersion, Metadata},
        shelf::Object,
    },
    Ask,
    amounts::integer,
};
use crate::sandbox::wire::Reply;

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Charge {
    pub id: String,
    pub created: i64,
    pub amount: i64,
    pub amount_refunded: i64,
    pub currency: String,
    pub customer: String,
    pub invoice: String,
    pub payment_intent: Option<String>,
    pub is_disputed: bool,
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Refund {
    pub id: String,
    pub created: i64,
    pub amount: i64,
    pub currency: String,
    pub charge: String,
    pub payment_intent: Option<String>,
    pub reason: Option<String>,
    pub metadata: Metadata,
    /// The customer's bank sent it back.
    pub has_failed: bool,
}

impl Object for Charge {
    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

impl Object for Refund {
    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.charge)
    }
}

impl Charge {
    pub fn json(&self, version: ApiVersion) -> Value {
        let mut value = json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount,
            "amount_refunded": self.amount_refunded,
            "captured": true,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": null,
            "disputed": self.is_disputed,
            "livemode": false,
            "metadata": {},
            "paid": true,
            "payment_intent": self.payment_intent,
            "refunded": self.amount_refunded == self.amount,
            "status": "succeeded",
        });
        if version == ApiVersion::Old {
            value["invoice"] = json!(self.invoice);
        }
        value
    }
}

impl Refund {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "reason": self.reason,
            "status": if self.has_failed { "failed" } else { "succeeded" },
        })
    }
}

impl Stripe {
    /// Charge what is due of an open invoice.
    pub(super) fn charge(&mut self, at: i64, invoice_id: &str) {
        let id = self.ids.next("ch", 24);
        let Some(invoice) = self.invoices.get(invoice_id) else {
            return;
        };
        self.charges.add(Charge {
            id: id.clone(),
            created: at,
            amount: invoice.amount_due,
            amount_refunded: 0,
            currency: invoice.currency.clone(),
            customer: invoice.customer.clone(),
            invoice: invoice_id.to_owned(),
            payment_intent: invoice.payment_intent.clone(),
            is_disputed: false,
        });
        self.change_invoice(invoice_id, |invoice| invoice.charge = Some(id));
    }

    pub(super) fn get_charge(&self, id: &str, ask: Ask) -> Result<Value, Reply> {
        let charge = self.charges.get(id);
        let charge = charge.ok_or_else(|| errors::no_such("charge", id))?;
        Ok(charge.json(ask.version))
    }

    pub(super) fn list_charges(&self, ask: Ask) -> Result<Value, Reply> {
        let params = ask.params;
        let intent = params.get("payment_intent");
        let created = Created::of(params)?;
        let is_wanted = |charge: &Charge| {
            intent.is_none_or(|id| charge.payment_intent.as_deref() == Some(id))
                && created.holds(charge.created)
        };
        let render = |charge: &Charge| charge.json(ask.version);
        let owner = params.get("customer");
        self.charges
            .page_of(owner, params, "/v1/charges", is_wanted, render)
    }

    /// `POST /v1/refunds`: of a charge or payment intent, all that is left unless an `amount` is given.
    pub(super) fn create_refund(&mut self, ask: Ask) -> Result<Value, Reply> {
        let params = ask.params;
        ask.knows_only(&["charge", "payment_intent", "amount", "reason", "metadata"])?;
        let id = match (params.get("charge"), params.get("payment_intent")) {
            (Some(id), _) => id.to_owned(),
            (None, Some(intent)) => self.charge_of_intent(intent)?,
            (None, None) => return Err(errors::missing_parameter("charge")),
        };
        let charge = self.charges.get(&id);
        let charge = charge.ok_or_else(|| errors::no_such_reference("charge", &id, "charge"))?;
        let left = charge.amount - charge.amount_refunded;
        if left == 0 {
            return Err(errors::already_refunded(&id));
        }
        let amount = integer(params, "amount")?.unwrap_or(left);
        if !(1..=left).contains(&amount) {
            let message = format!("The amount of a refund is between 1 and what is left, {left}.");
            return Err(errors::invalid_parameter("amount", &message));
        }
        let metadata = metadata_of(params)?;
        let reason = params.get("reason").map(str::to_owned);
        let refund = self.refund(ask.at, &id, amount, reason, metadata);
        self.get_refund(&refund.unwrap_or_default())
    }

    fn charge_of_intent(&self, intent: &str) -> Result<String, Reply> {
        let invoice = self.invoice_of_intent.get(intent);
        let invoice = invoice.and_then(|id| self.invoices.get(id));
        let charge = invoice.and_then(|invoice| invoice.charge.clone());
        charge.ok_or_else(|| errors::no_such_reference("payment_intent", intent, "payment_intent"))
    }

    /// Give back part of a charge; the caller has seen that so much is left. Returns the refund's id.
    pub(super) fn refund(
        &mut self,
        at: i64,
        charge_id: &str,
        amount: i64,
        reason: Option<String>,
        metadata: Metadata,
    ) -> Option<String> {
        let id = self.ids.next("re", 24);
        let charge = self.charges.get_mut(charge_id)?;
        let before = Both::render(|version| charge.json(version));
        charge.amount_refunded += amount;
        let after = Both::render(|version| charge.json(version));
        let charge = charge.clone();
        self.refunds.add(Refund {
            id: id.clone(),
            created: at,
            amount,
            currency: charge.currency,
            charge: charge.id,
            payment_intent: charge.payment_intent,
            reason,
            metadata,
            has_failed: false,
        });
        self.books.refund(&charge.invoice, amount);
        let (after, before) = (Snapshot::from(after), Snapshot::from(before));
        self.emit(at, "charge.refunded", after, Some(before));
        Some(id)
    }

    /// The customer's bank sends a refund back. False when there is none of that id that succeeded.
    pub(in crate::sandbox) fn fail_refund(&mut self, at: i64, id: &str) -> bool {
        let refund = self.refunds.get_mut(id);
        let Some(refund) = refund.filter(|refund| !refund.has_failed) else {
            return false;
        };
        let before = Both::render(|_| refund.json());
        refund.has_failed = true;
        let after = Both::render(|_| refund.json());
        let (amount, charge) = (refund.amount, refund.charge.clone());
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.amount_refunded -= amount;
            let invoice = charge.invoice.clone();
            self.books.refund(&invoice, -amount);
        }
        let snapshots = || {
            (
                Snapshot::from(after.clone()),
                Snapshot::from(before.clone()),
            )
        };
        for event in ["charge.refund.updated", "refund.updated", "refund.failed"] {
            let (after, before) = snapshots();
            self.emit(at, event, after, Some(before));
        }
        true
    }

    pub(super) fn get_refund(&self, id: &str) -> Result<Value, Reply> {
        let refund = self.refunds.get(id);
        refund
            .map(Refund::json)
            .ok_or_else(|| errors::no_such("refund", id))
    }

    pub(super) fn list_refunds(&self, ask: Ask) -> Result<Value, Reply> {
        let params = ask.params;
        let (charge, intent) = (params.get("charge"), params.get("payment_intent"));
        let created = Created::of(params)?;
        let is_wanted = |refund: &Refund| {
            intent.is_none_or(|id| refund.payment_intent.as_deref() == Some(id))
                && created.holds(refund.created)
        };
        self.refunds
            .page_of(charge, params, "/v1/refunds", is_wanted, Refund::json)
    }
}
