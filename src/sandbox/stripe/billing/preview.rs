//! Invoices that are not there yet.

use std::sync::Arc;

use super::{
    super::{Stripe, events::Snapshot, lifecycle::begin_next_period},
    lines,
    model::{Invoice, Line, Parent},
    own::DRAFT_FOR,
};

impl Stripe {
    /// `invoice.upcoming`: what the renewal will be about, and no id.
    pub(in crate::sandbox) fn emit_upcoming(&mut self, at: i64, subscription_id: &str) {
        if let Some(invoice) = self.upcoming(subscription_id) {
            self.emit(
                at,
                "invoice.upcoming",
                Snapshot::Invoice(Box::new(invoice)),
                None,
            );
        }
    }

    /// The next cycle's invoice as it would be now: the next period, and what is pending.
    fn upcoming(&self, subscription_id: &str) -> Option<Invoice> {
        let subscription = self.subscriptions.get(subscription_id)?;
        let mut next = subscription.clone();
        begin_next_period(&mut next);
        let (customer, at) = (subscription.customer.clone(), subscription.period_end);
        let mut invoice = Invoice::draft(String::new(), at, customer, "upcoming");
        (invoice.period_start, invoice.period_end) =
            (subscription.period_start, subscription.period_end);
        let customer = self.customers.get(&subscription.customer);
        invoice.customer_email = customer.and_then(|customer| customer.email.clone());
        invoice.next_attempt = Some(at + DRAFT_FOR);
        invoice.parent = Some(Parent {
            subscription: next.id.clone(),
            metadata: next.metadata.clone(),
        });
        let own = next.items.iter();
        let mut lines: Vec<Line> = own
            .map(|item| {
                let id = format!("il_tmp_{}", item.id);
                lines::of_subscription(id, item, &next, false)
            })
            .collect();
        if let Some(line) = lines.first() {
            invoice.currency.clone_from(&line.currency);
        }
        let pending = self.pending_for(&invoice);
        lines.extend(pending.map(|item| Line {
            id: format!("il_tmp_{}", item.id),
            ..item.line.clone()
        }));
        invoice.lines = Arc::new(lines);
        Some(invoice)
    }
}
