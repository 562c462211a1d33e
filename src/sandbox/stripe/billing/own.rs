//! `/v1/invoices`: invoices made by hand, looked at, changed, deleted.

use serde_json::{Value, json};

use super::{
    super::{
        Stripe,
        changes::flag,
        customers::{merge_metadata, metadata_of},
        errors,
        filters::Created,
        model::ApiVersion,
    },
    Ask,
    amounts::currency,
    invoice_payments,
    model::{Invoice, InvoiceStatus, Parent},
    shape,
};
use crate::sandbox::wire::Reply;

/// How long a draft that goes on by itself may still be added to.
pub(super) const DRAFT_FOR: i64 = 60 * 60;

const NAMES: [&str; 9] = [
    "customer",
    "auto_advance",
    "pending_invoice_items_behavior",
    "subscription",
    "currency",
    "metadata",
    "description",
    "collection_method",
    "default_payment_method",
];
const STATUSES: [&str; 5] = ["draft", "open", "void", "paid", "uncollectible"];

impl Stripe {
    pub(super) fn create_invoice(&mut self, ask: Ask) -> Result<Value, Reply> {
        ask.knows_only(&NAMES)?;
        let params = ask.params;
        let customer = params
            .get("customer")
            .ok_or_else(|| errors::missing_parameter("customer"))?;
        let email = self.living_customer(customer)?.email.clone();
        let advances = flag(params, "auto_advance")?.unwrap_or(false);
        let includes = match params.get("pending_invoice_items_behavior") {
            None | Some("exclude") => false,
            Some("include") => true,
            Some(_) => {
                let message =
                    "Invalid pending_invoice_items_behavior: must be one of include or exclude";
                return Err(errors::invalid_parameter(
                    "pending_invoice_items_behavior",
                    message,
                ));
            }
        };
        let parent = self.parent_named(ask, customer)?;
        let method = params.get("default_payment_method");
        if let Some(method) = method.filter(|method| !self.may_pay_by(customer, method)) {
            let param = "default_payment_method";
            return Err(errors::no_such_reference("PaymentMethod", method, param));
        }
        let (currency, metadata) = (currency(params)?, metadata_of(params)?);
        let collection_method = collection_method(ask)?;
        let id = self.ids.next("in", 24);
        let mut invoice = Invoice::draft(id.clone(), ask.at, customer.to_owned(), "manual");
        invoice.customer_email = email;
        invoice.parent = parent;
        invoice.collection_method = collection_method;
        invoice.currency = currency.unwrap_or(invoice.currency);
        invoice.metadata = metadata;
        invoice.description = params.get("description").map(str::to_owned);
        invoice.default_payment_method = method.map(str::to_owned);
        self.add_invoice(invoice);
        self.change_invoice(&id, |invoice| advance(invoice, advances));
        if includes {
            self.attach_pending(&id);
        }
        self.emit_invoice(ask.at, "invoice.created", &id);
        self.get_invoice(&id, ask)
    }

    /// Whether a customer has a payment method.
    fn may_pay_by(&self, customer: &str, method: &str) -> bool {
        let own = self.customers.get(customer);
        let own = own.and_then(|customer| customer.default_payment_method.as_deref());
        let mut others = self.subscriptions.of(customer);
        own == Some(method)
            || others.any(|one| one.default_payment_method.as_deref() == Some(method))
    }

    fn parent_named(&self, ask: Ask, customer: &str) -> Result<Option<Parent>, Reply> {
        let Some(id) = ask.params.get("subscription") else {
            return Ok(None);
        };
        let own = self.subscriptions.get(id);
        let own = own
            .filter(|subscription| subscription.customer == customer)
            .ok_or_else(|| errors::no_such_reference("subscription", id, "subscription"))?;
        Ok(Some(Parent {
            subscription: own.id.clone(),
            metadata: own.metadata.clone(),
        }))
    }

    /// Every invoice comes in here.
    pub(super) fn add_invoice(&mut self, invoice: Invoice) {
        self.books.note(&invoice);
        self.invoices.add(invoice);
    }

    pub(in crate::sandbox) fn get_invoice(&self, id: &str, ask: Ask) -> Result<Value, Reply> {
        let invoice = self.invoice(id)?;
        let mut value = shape::invoice(invoice, ask.version);
        let wants_payments = ask.params.list("expand").contains(&"payments");
        if wants_payments && ask.version == ApiVersion::New {
            value["payments"] = invoice_payments::within(invoice);
        }
        Ok(value)
    }

    pub(super) fn list_invoices(&self, ask: Ask) -> Result<Value, Reply> {
        let params = ask.params;
        let (subscription, status) = (params.get("subscription"), params.get("status"));
        if status.is_some_and(|status| !STATUSES.contains(&status)) {
            let message =
                "Invalid status: must be one of draft, open, void, paid, or uncollectible";
            return Err(errors::invalid_parameter("status", message));
        }
        let created = Created::of(params)?;
        let of_subscription = subscription.and_then(|id| self.subscriptions.get(id));
        let owner = params
            .get("customer")
            .or(of_subscription.map(|row| row.customer.as_str()));
        let is_wanted = |invoice: &Invoice| {
            !invoice.is_deleted
                && subscription.is_none_or(|id| invoice.subscription() == Some(id))
                && status.is_none_or(|status| json!(invoice.status) == status)
                && created.holds(invoice.created)
        };
        let render = |invoice: &Invoice| shape::invoice(invoice, ask.version);
        self.invoices
            .page_of(owner, params, "/v1/invoices", is_wanted, render)
    }

    /// Metadata at any time, the rest while it is a draft; whether it goes on by itself until it is
    /// paid.
    pub(super) fn update_own_invoice(&mut self, id: &str, ask: Ask) -> Result<Value, Reply> {
        ask.knows_only(&["auto_advance", "metadata", "description"])?;
        let invoice = self.invoice(id)?;
        let is_draft = invoice.status == InvoiceStatus::Draft;
        let description = ask.params.get("description").map(str::to_owned);
        if description.is_some() && !is_draft {
            return Err(errors::not_now(
                "Finalized invoices can't be updated in this way",
            ));
        }
        metadata_of(ask.params)?;
        let advances = flag(ask.params, "auto_advance")?;
        self.update_invoice(ask.at, id, |invoice| {
            merge_metadata(&mut invoice.metadata, ask.params);
            invoice.description = description.or(invoice.description.take());
            match advances {
                Some(advances) if is_draft => advance(invoice, advances),
                Some(advances) if invoice.status == InvoiceStatus::Open => {
                    invoice.auto_advance = advances;
                    invoice.next_attempt =
                        advances.then_some(invoice.next_attempt.unwrap_or(ask.at));
                }
                _ => {}
            }
        });
        self.get_invoice(id, ask)
    }

    /// Only a draft. Its items go with it: they do not become pending again.
    pub(super) fn delete_invoice(&mut self, id: &str, ask: Ask) -> Result<Value, Reply> {
        if self.invoice(id)?.status != InvoiceStatus::Draft {
            return Err(errors::not_now("You can only delete draft invoices."));
        }
        self.emit_invoice(ask.at, "invoice.deleted", id);
        self.change_invoice(id, |invoice| invoice.is_deleted = true);
        Ok(json!({"id": id, "object": "invoice", "deleted": true}))
    }
}

/// Whether a draft goes on by itself, an hour after it was made.
fn advance(invoice: &mut Invoice, advances: bool) {
    invoice.auto_advance = advances;
    invoice.finalizes_at = advances.then_some(invoice.created + DRAFT_FOR);
}

fn collection_method(ask: Ask) -> Result<String, Reply> {
    match ask.params.get("collection_method") {
        None | Some("charge_automatically") => Ok("charge_automatically".to_owned()),
        Some("send_invoice") => Ok("send_invoice".to_owned()),
        Some(_) => Err(errors::invalid_parameter(
            "collection_method",
            "Invalid collection_method: must be one of charge_automatically or send_invoice",
        )),
    }
}
