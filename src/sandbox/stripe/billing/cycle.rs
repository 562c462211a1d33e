//! The invoices subscriptions make: the first one is open at once, a cycle's is a draft for an hour.

use std::sync::Arc;

use super::{
    super::{
        Stripe,
        model::{Status, Subscription},
    },
    lines,
    model::{Invoice, Line, Parent},
    own::DRAFT_FOR,
};

impl Stripe {
    /// The open invoice of a subscription's beginning, charged if it `collects`. Nothing is due
    /// while it is on trial.
    pub(in crate::sandbox) fn first_invoice(
        &mut self,
        at: i64,
        subscription: &str,
        collects: bool,
    ) {
        let Some(id) = self.new_invoice(at, subscription, "subscription_create") else {
            return;
        };
        self.change_invoice(&id, |invoice| {
            (invoice.period_start, invoice.period_end) = (at, at);
        });
        self.close_draft(at, &id, false);
        self.emit_invoice(at, "invoice.created", &id);
        self.emit_invoice(at, "invoice.finalized", &id);
        self.pay_nothing(at, &id);
        let is_due = self.invoices.get(&id).is_some_and(|row| row.amount_due > 0);
        if collects && is_due {
            self.attempt(at, &id);
        }
    }

    /// The invoice of a renewal: a draft for the time being. `ended` is the period that is over.
    /// What is pending for the customer comes along.
    pub(in crate::sandbox) fn cycle_invoice(
        &mut self,
        at: i64,
        subscription: &str,
        ended: (i64, i64),
    ) {
        let Some(id) = self.new_invoice(at, subscription, "subscription_cycle") else {
            return;
        };
        let stays_draft = self.subscriptions.get(subscription).is_some_and(|row| {
            row.pause_behavior.as_deref() == Some("keep_as_draft") || row.status == Status::Unpaid
        });
        self.change_invoice(&id, |invoice| {
            (invoice.period_start, invoice.period_end) = ended;
            if !stays_draft {
                invoice.auto_advance = true;
                invoice.finalizes_at = Some(at + DRAFT_FOR);
            }
        });
        self.attach_pending(&id);
        self.emit_invoice(at, "invoice.created", &id);
    }

    /// A draft with the lines of the period that the subscription is in.
    pub(super) fn new_invoice(
        &mut self,
        at: i64,
        subscription_id: &str,
        billing_reason: &'static str,
    ) -> Option<String> {
        let id = self.ids.next("in", 24);
        let subscription = self.subscriptions.get_mut(subscription_id)?;
        subscription.latest_invoice = Some(id.clone());
        let subscription = subscription.clone();
        let lines = self.subscription_lines(&subscription);
        let customer = self.customers.get(&subscription.customer);
        let mut invoice = Invoice::draft(id.clone(), at, subscription.customer, billing_reason);
        invoice.customer_email = customer.and_then(|customer| customer.email.clone());
        invoice.parent = Some(Parent {
            subscription: subscription.id,
            metadata: subscription.metadata,
        });
        if let Some(line) = lines.first() {
            invoice.currency.clone_from(&line.currency);
        }
        invoice.lines = Arc::new(lines);
        self.add_invoice(invoice);
        Some(id)
    }

    fn subscription_lines(&mut self, subscription: &Subscription) -> Vec<Line> {
        let is_trial = subscription.status == Status::Trialing;
        let items = subscription.items.iter();
        let line = |item| {
            let id = self.ids.next("il", 24);
            lines::of_subscription(id, item, subscription, is_trial)
        };
        items.map(line).collect()
    }
}
