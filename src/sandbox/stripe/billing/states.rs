//! From draft to open, and on to void or uncollectible. How an open invoice is paid: `payment`.

use serde_json::Value;

use super::{
    super::{Stripe, changes::flag, errors},
    Ask, balance,
    model::{Invoice, InvoiceStatus},
};
use crate::sandbox::wire::Reply;

impl Stripe {
    /// `POST …/finalize`. With `auto_advance` it is collected next; Stripe takes up to an hour for
    /// that, the sandbox none.
    pub(super) fn finalize_by_request(&mut self, id: &str, ask: Ask) -> Result<Value, Reply> {
        ask.knows_only(&["auto_advance"])?;
        let collects = flag(ask.params, "auto_advance")?;
        let invoice = self.invoice(id)?;
        if invoice.status != InvoiceStatus::Draft {
            return Err(errors::not_now(
                "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            ));
        }
        let collects = collects.unwrap_or(invoice.auto_advance);
        self.finalize(ask.at, id, collects);
        self.get_invoice(id, ask)
    }

    /// The draft's time is over: it is finalized, and collected unless collecting is paused.
    pub(in crate::sandbox) fn finalize_when_due(&mut self, at: i64, id: &str) {
        let invoice = self.invoices.get(id);
        let subscription = invoice.and_then(|invoice| invoice.subscription());
        let subscription = subscription.and_then(|id| self.subscriptions.get(id));
        let pause = subscription.and_then(|row| row.pause_behavior.clone());
        match pause.as_deref() {
            Some("void") => {
                self.finalize(at, id, false);
                self.void(at, id);
            }
            Some("mark_uncollectible") => {
                self.finalize(at, id, false);
                self.mark_uncollectible(at, id);
            }
            _ => self.finalize(at, id, true),
        }
    }

    /// Give it its number and settle it against the customer's balance. What leaves nothing to pay
    /// is paid.
    pub(super) fn finalize(&mut self, at: i64, id: &str, collects: bool) {
        self.close_draft(at, id, collects);
        self.emit_invoice(at, "invoice.finalized", id);
        self.pay_nothing(at, id);
    }

    /// As [`Stripe::finalize`], and nobody is told yet.
    pub(super) fn close_draft(&mut self, at: i64, id: &str, collects: bool) {
        let Some(invoice) = self.invoices.get(id) else {
            return;
        };
        let (customer_id, total) = (invoice.customer.clone(), invoice.total());
        let currency = invoice.currency.clone();
        let Some(customer) = self.customers.get_mut(&customer_id) else {
            return;
        };
        customer.invoices_numbered += 1;
        let number = format!(
            "{}-{:04}",
            customer.invoice_prefix(),
            customer.invoices_numbered
        );
        let before = customer.balance;
        let (due, after) = balance::settle(total, before, &currency);
        let kind = if total > 0 && after > 0 {
            "invoice_too_small"
        } else {
            "applied_to_invoice"
        };
        self.move_balance(
            at,
            &customer_id,
            Some(id),
            kind,
            after.saturating_sub(before),
        );
        let payment_intent = (due > 0).then(|| self.ids.next("pi", 24));
        if let Some(intent) = &payment_intent {
            self.invoice_of_intent.insert(intent.clone(), id.to_owned());
        }
        self.change_invoice(id, |invoice| {
            invoice.status = InvoiceStatus::Open;
            invoice.finalizes_at = None;
            invoice.finalized_at = Some(at);
            invoice.number = Some(number);
            invoice.starting_balance = before;
            invoice.ending_balance = Some(after);
            invoice.amount_due = due;
            invoice.payment_intent = payment_intent;
            let collects = collects && invoice.collection_method == "charge_automatically";
            invoice.auto_advance = collects;
            invoice.next_attempt = (collects && due > 0).then_some(at);
        });
    }

    /// `POST …/void`, also of one that was written off.
    pub(super) fn void_by_request(&mut self, id: &str, ask: Ask) -> Result<Value, Reply> {
        match self.invoice(id)?.status {
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
            InvoiceStatus::Paid => {
                return Err(errors::not_now(
                    "Invoices with `paid` payments cannot be voided.",
                ));
            }
            _ => return Err(not_open()),
        }
        self.void(ask.at, id);
        self.get_invoice(id, ask)
    }

    /// What it took from the customer's balance, or put there, goes back.
    pub(in crate::sandbox) fn void(&mut self, at: i64, id: &str) {
        let is_owed = |invoice: &&Invoice| {
            invoice.is_open() || invoice.status == InvoiceStatus::Uncollectible
        };
        let Some(invoice) = self.invoices.get(id).filter(is_owed) else {
            return;
        };
        let customer = invoice.customer.clone();
        let moved = invoice
            .ending_balance
            .map(|after| after - invoice.starting_balance);
        let back = moved.unwrap_or(0).saturating_neg();
        self.move_balance(at, &customer, Some(id), "unapplied_from_invoice", back);
        self.change_invoice(id, |invoice| {
            stop(invoice, InvoiceStatus::Void);
            invoice.voided_at = Some(at);
        });
        self.emit_invoice(at, "invoice.voided", id);
    }

    /// `POST …/mark_uncollectible`.
    pub(super) fn mark_by_request(&mut self, id: &str, ask: Ask) -> Result<Value, Reply> {
        match self.invoice(id)?.status {
            InvoiceStatus::Open => {}
            InvoiceStatus::Uncollectible => {
                return Err(errors::not_now(
                    "This invoice has already been marked uncollectible.",
                ));
            }
            _ => return Err(not_open()),
        }
        self.mark_uncollectible(ask.at, id);
        self.get_invoice(id, ask)
    }

    fn mark_uncollectible(&mut self, at: i64, id: &str) {
        if !self.invoices.get(id).is_some_and(Invoice::is_open) {
            return;
        }
        self.change_invoice(id, |invoice| {
            stop(invoice, InvoiceStatus::Uncollectible);
            invoice.uncollectible_at = Some(at);
        });
        self.emit_invoice(at, "invoice.marked_uncollectible", id);
    }
}

/// Nothing happens to it by itself any more.
fn stop(invoice: &mut Invoice, status: InvoiceStatus) {
    invoice.status = status;
    invoice.auto_advance = false;
    invoice.next_attempt = None;
}

fn not_open() -> Reply {
    errors::not_now("You can only pass in open invoices. This invoice isn't open.")
}
