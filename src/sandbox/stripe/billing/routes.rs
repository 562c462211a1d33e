//! Which URL is what.

use serde_json::Value;

use super::{
    super::{Stripe, errors},
    Ask,
};
use crate::sandbox::wire::{Reply, Request};

impl Stripe {
    pub(in crate::sandbox) fn route_billing(
        &mut self,
        request: &Request,
        segments: &[&str],
        ask: Ask,
    ) -> Result<Value, Reply> {
        match (request.method.as_str(), segments) {
            ("POST", ["v1", "invoiceitems"]) => self.create_item(ask),
            ("GET", ["v1", "invoiceitems"]) => self.list_items(ask),
            ("GET", ["v1", "invoiceitems", id]) => self.get_item(id, ask),
            ("DELETE", ["v1", "invoiceitems", id]) => self.delete_item(id, ask),
            ("POST", ["v1", "invoices"]) => self.create_invoice(ask),
            ("GET", ["v1", "invoices"]) => self.list_invoices(ask),
            ("POST", ["v1", "invoices", "create_preview"]) => self.create_preview(ask),
            ("GET", ["v1", "invoices", "upcoming"]) => self.get_upcoming(ask),
            ("GET", ["v1", "invoices", id]) => self.get_invoice(id, ask),
            ("POST", ["v1", "invoices", id]) => self.update_own_invoice(id, ask),
            ("DELETE", ["v1", "invoices", id]) => self.delete_invoice(id, ask),
            ("GET", ["v1", "invoices", id, "lines"]) => self.list_lines(id, ask),
            ("POST", ["v1", "invoices", id, "finalize"]) => self.finalize_by_request(id, ask),
            ("POST", ["v1", "invoices", id, "pay"]) => self.pay_by_request(id, ask),
            ("POST", ["v1", "invoices", id, "void"]) => self.void_by_request(id, ask),
            ("POST", ["v1", "invoices", id, "mark_uncollectible"]) => self.mark_by_request(id, ask),
            ("GET", ["v1", "invoice_payments"]) => self.list_invoice_payments(ask),
            ("GET", ["v1", "charges"]) => self.list_charges(ask),
            ("GET", ["v1", "charges", id]) => self.get_charge(id, ask),
            ("POST", ["v1", "refunds"]) => self.create_refund(ask),
            ("GET", ["v1", "refunds"]) => self.list_refunds(ask),
            ("GET", ["v1", "refunds", id]) => self.get_refund(id),
            ("POST", ["v1", "credit_notes"]) => self.create_credit_note(ask),
            ("GET", ["v1", "credit_notes"]) => self.list_credit_notes(ask),
            ("GET", ["v1", "credit_notes", id]) => self.get_credit_note(id),
            ("GET", ["v1", "disputes", id]) => self.get_dispute(id),
            ("GET", ["v1", "customers", id, "balance_transactions"]) => {
                self.list_movements(id, ask)
            }
            (method, _) => Err(errors::unknown_url(method, &request.path)),
        }
    }
}
