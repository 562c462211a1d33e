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
            ("GET", ["v1", "customers", id, "balance_transactions"]) => {
                self.list_movements(id, ask)
            }
            (method, _) => Err(errors::unknown_url(method, &request.path)),
        }
    }
}
