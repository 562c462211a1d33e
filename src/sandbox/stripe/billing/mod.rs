//! Billing: invoices and what is on them, from a draft to the charge that pays it.
//!
//! Every invoice is changed through [`Stripe::change_invoice`], so that nothing due is missed.

mod amounts;
pub(super) mod balance;
pub(super) mod books;
pub(super) mod charges;
pub(super) mod credit_notes;
mod cycle;
pub(super) mod disputes;
mod drift;
mod invoice_payments;
mod item_shape;
mod items;
mod lines;
pub(super) mod model;
mod own;
mod payment;
mod preview;
mod proration;
mod routes;
pub(super) mod shape;
mod states;
mod updates;

use super::{Stripe, errors, events::Snapshot, model::ApiVersion};
use crate::sandbox::wire::{Params, Reply};
use model::{Invoice, InvoiceStatus};
pub(super) use updates::Billing;

/// What a request asks for, without the way it came.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Ask<'a> {
    pub params: &'a Params,
    pub version: ApiVersion,
    /// Unix seconds.
    pub at: i64,
}

impl Ask<'_> {
    /// Stripe refuses what it does not know; so a client's slip of the pen is found here.
    fn knows_only(&self, names: &[&str]) -> Result<(), Reply> {
        let base = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
        let mut asked = self.params.0.iter().map(|(name, _)| base(name));
        match asked.find(|name| name != "expand" && !names.contains(&name.as_str())) {
            Some(stranger) => Err(errors::unknown_parameter(&stranger)),
            None => Ok(()),
        }
    }
}

impl Stripe {
    /// The invoice the URL names.
    pub(super) fn invoice(&self, id: &str) -> Result<&Invoice, Reply> {
        let invoice = self.invoices.get(id).filter(|invoice| !invoice.is_deleted);
        invoice.ok_or_else(|| errors::no_such("invoice", id))
    }

    /// The draft a parameter names; nothing is added to an invoice that is none any more.
    fn draft_named(&self, id: &str) -> Result<&Invoice, Reply> {
        let invoice = self.invoices.get(id).filter(|invoice| !invoice.is_deleted);
        let invoice = invoice.ok_or_else(|| errors::no_such_reference("invoice", id, "invoice"))?;
        match invoice.status {
            InvoiceStatus::Draft => Ok(invoice),
            _ => Err(errors::invoice_not_editable()),
        }
    }

    /// Change an invoice, put it down in the books, and note when something becomes due to it.
    pub(super) fn change_invoice(&mut self, id: &str, change: impl FnOnce(&mut Invoice)) {
        if let Some(invoice) = self.invoices.get_mut(id) {
            change(invoice);
            self.books.note(invoice);
            if let Some((at, what)) = invoice.next() {
                self.agenda.insert((at, what, id.to_owned()));
            }
        }
    }

    /// An event about an invoice as it is now.
    pub(super) fn emit_invoice(&mut self, at: i64, kind: &'static str, id: &str) {
        if let Some(invoice) = self.invoices.get(id) {
            let object = Snapshot::Invoice(Box::new(invoice.clone()));
            self.emit(at, kind, object, None);
        }
    }

    /// Change an invoice, and tell of it as `invoice.updated` with what was different before.
    fn update_invoice(&mut self, at: i64, id: &str, change: impl FnOnce(&mut Invoice)) {
        let Some(before) = self.invoices.get(id).cloned() else {
            return;
        };
        self.change_invoice(id, change);
        if let Some(invoice) = self.invoices.get(id).filter(|after| **after != before) {
            let after = Snapshot::Invoice(Box::new(invoice.clone()));
            let before = Snapshot::Invoice(Box::new(before));
            self.emit(at, "invoice.updated", after, Some(before));
        }
    }
}
