//! Invoices, as far as subscriptions make them: the first one is paid at once, a cycle's stays a
//! draft for an hour.

use serde_json::Value;

use super::{
    Stripe, errors,
    events::Both,
    invoice_shape,
    model::{ApiVersion, Invoice, InvoiceStatus, Status},
};
use crate::sandbox::wire::{Reply, Request};

/// How long a renewal's invoice may still be added to.
const DRAFT_FOR: i64 = 60 * 60;

impl Stripe {
    pub(super) fn get_invoice(&self, id: &str, version: ApiVersion) -> Result<Value, Reply> {
        let invoice = self
            .invoices
            .get(id)
            .ok_or_else(|| errors::no_such("invoice", id))?;
        Ok(invoice_shape::invoice(invoice, version))
    }

    pub(super) fn list_invoices(
        &self,
        request: &Request,
        version: ApiVersion,
    ) -> Result<Value, Reply> {
        let params = &request.params;
        let (customer, subscription) = (params.get("customer"), params.get("subscription"));
        let is_wanted = |invoice: &Invoice| {
            customer.is_none_or(|id| invoice.customer == id)
                && subscription.is_none_or(|id| invoice.subscription.id == id)
        };
        self.invoices
            .page(params, "/v1/invoices", is_wanted, |invoice| {
                invoice_shape::invoice(invoice, version)
            })
    }

    /// The open invoice of a subscription's beginning. Nothing is due while it is on trial.
    pub(super) fn first_invoice(&mut self, at: i64, subscription_id: &str) -> Option<String> {
        let id = self.new_invoice(at, subscription_id, "subscription_create")?;
        if let Some(invoice) = self.invoices.get_mut(&id) {
            invoice.status = InvoiceStatus::Open;
            invoice.finalized_at = Some(at);
        }
        self.emit_invoice(at, "invoice.created", &id);
        Some(id)
    }

    /// The invoice of a renewal: a draft for the time being. `ended` is the period that is over.
    pub(super) fn cycle_invoice(&mut self, at: i64, subscription_id: &str, ended: (i64, i64)) {
        let Some(id) = self.new_invoice(at, subscription_id, "subscription_cycle") else {
            return;
        };
        if let Some(invoice) = self.invoices.get_mut(&id) {
            (invoice.period_start, invoice.period_end) = ended;
            let pause = invoice.subscription.pause_behavior.as_deref();
            if pause != Some("keep_as_draft") {
                invoice.finalizes_at = Some(at + DRAFT_FOR);
                self.drafts.insert((at + DRAFT_FOR, id.clone()));
            }
        }
        self.emit_invoice(at, "invoice.created", &id);
    }

    /// The draft's time is over: it is finalized, and collected if collecting is not paused.
    pub(super) fn finalize(&mut self, at: i64, id: &str) {
        let Some(invoice) = self.invoices.get_mut(id) else {
            return;
        };
        invoice.finalizes_at = None;
        invoice.finalized_at = Some(at);
        let subscription_id = invoice.subscription.id.clone();
        let pause = self
            .subscriptions
            .get(&subscription_id)
            .and_then(|row| row.pause_behavior.as_deref());
        invoice.status = match pause {
            Some("void") => InvoiceStatus::Void,
            Some("mark_uncollectible") => InvoiceStatus::Uncollectible,
            _ => InvoiceStatus::Open,
        };
        if invoice.status != InvoiceStatus::Open {
            return;
        }
        let customer = invoice.customer.clone();
        if self
            .customers
            .get(&customer)
            .is_some_and(|customer| customer.pays)
        {
            self.set_paid(at, id);
            self.change_subscription(at, &subscription_id, |subscription| {
                if subscription.status == Status::PastDue {
                    subscription.status = Status::Active;
                }
            });
        } else {
            self.emit_invoice(at, "invoice.payment_failed", id);
            self.change_subscription(at, &subscription_id, |subscription| {
                if subscription.status == Status::Active {
                    subscription.status = Status::PastDue;
                }
            });
        }
    }

    pub(super) fn set_paid(&mut self, at: i64, id: &str) {
        if let Some(invoice) = self.invoices.get_mut(id) {
            invoice.status = InvoiceStatus::Paid;
            invoice.paid_at = Some(at);
        }
        self.emit_invoice(at, "invoice.paid", id);
    }

    fn new_invoice(
        &mut self,
        at: i64,
        subscription_id: &str,
        billing_reason: &'static str,
    ) -> Option<String> {
        let id = self.ids.next("in", 24);
        let subscription = self.subscriptions.get_mut(subscription_id)?;
        subscription.latest_invoice = Some(id.clone());
        let subscription = subscription.clone();
        let is_trial = subscription.status == Status::Trialing;
        let customer = self.customers.get(&subscription.customer);
        self.invoices.add(Invoice {
            id: id.clone(),
            created: at,
            customer: subscription.customer.clone(),
            customer_email: customer.and_then(|customer| customer.email.clone()),
            billing_reason,
            period_start: subscription.period_start,
            period_end: subscription.period_end,
            amount: if is_trial { 0 } else { subscription.amount() },
            subscription,
            status: InvoiceStatus::Draft,
            finalizes_at: None,
            finalized_at: None,
            paid_at: None,
        });
        Some(id)
    }

    fn emit_invoice(&mut self, at: i64, kind: &'static str, id: &str) {
        if let Some(invoice) = self.invoices.get(id) {
            let object = Both::render(|version| invoice_shape::invoice(invoice, version));
            self.emit(at, kind, object, None);
        }
    }
}
