//! Invoices that are not there yet: the next renewal's, and what a change would cost.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        Stripe,
        changes::{Changes, anchor_now},
        errors,
        events::Snapshot,
        lifecycle::{begin_next_period, begin_period_at},
        model::{ApiVersion, Status, Subscription},
    },
    Ask, lines,
    model::{Invoice, Line, Parent},
    own::DRAFT_FOR,
    proration, shape,
    updates::{Billing, Prorate, line_of},
};
use crate::sandbox::wire::Reply;

/// How the parameters of a change are called.
struct Names {
    items: &'static str,
    behavior: &'static str,
    date: &'static str,
    anchor: &'static str,
}

const NEW_NAMES: Names = Names {
    items: "subscription_details[items]",
    behavior: "subscription_details[proration_behavior]",
    date: "subscription_details[proration_date]",
    anchor: "subscription_details[billing_cycle_anchor]",
};
const OLD_NAMES: Names = Names {
    items: "subscription_items",
    behavior: "subscription_proration_behavior",
    date: "subscription_proration_date",
    anchor: "subscription_billing_cycle_anchor",
};

impl Stripe {
    /// `POST /v1/invoices/create_preview`.
    pub(super) fn create_preview(&mut self, ask: Ask) -> Result<Value, Reply> {
        ask.knows_only(&["customer", "subscription", "subscription_details"])?;
        let mut invoice = self.preview(ask, &NEW_NAMES)?;
        invoice.id = self.ids.next("upcoming_in", 24);
        Ok(shape::invoice(&invoice, ask.version))
    }

    /// `GET /v1/invoices/upcoming`, which only the old version has.
    pub(super) fn get_upcoming(&self, ask: Ask) -> Result<Value, Reply> {
        if ask.version == ApiVersion::New {
            return Err(errors::no_such("invoice", "upcoming"));
        }
        let invoice = self.preview(ask, &OLD_NAMES)?;
        Ok(shape::invoice(&invoice, ask.version))
    }

    fn preview(&self, ask: Ask, names: &Names) -> Result<Invoice, Reply> {
        let before = self.previewed(ask)?;
        let billing = Billing::of(ask, before, names.behavior, names.date)?;
        let items = self.items_of(ask.params, names.items)?;
        let mut after = before.clone();
        let mut added = 0;
        let new_item_id = || {
            added += 1;
            format!("si_tmp_{added}")
        };
        let changes = Changes::of_items(items, before, names.items)?;
        changes.apply(&mut after, new_item_id, ask.at);
        if anchor_now(ask.params, names.anchor)? || before.rhythm() != after.rhythm() {
            begin_period_at(&mut after, ask.at);
        }
        if before.cancel_at_period_end || !before.status.is_alive() {
            return Err(errors::no_upcoming_invoice(&before.customer));
        }
        Ok(self.invoice_after(before, &after, billing))
    }

    /// The named subscription, or the customer's first.
    fn previewed(&self, ask: Ask) -> Result<&Subscription, Reply> {
        let customer = ask.params.get("customer");
        let Some(id) = ask.params.get("subscription") else {
            let customer = customer.ok_or_else(|| errors::missing_parameter("customer"))?;
            self.living_customer(customer)?;
            let mut own = self.subscriptions.of(customer);
            let first = own.find(|subscription| subscription.status.is_alive());
            return first.ok_or_else(|| errors::no_upcoming_invoice(customer));
        };
        let subscription = self.subscriptions.get(id);
        subscription
            .filter(|row| customer.is_none_or(|customer| row.customer == customer))
            .ok_or_else(|| errors::no_such_reference("subscription", id, "subscription"))
    }

    /// The invoice that comes next after a change: the one the change makes at once, or the next
    /// renewal's with what the change costs on it.
    fn invoice_after(
        &self,
        before: &Subscription,
        after: &Subscription,
        billing: Billing,
    ) -> Invoice {
        let is_reset = after.period_start != before.period_start;
        let parts = match billing.prorate {
            _ if !before.status.is_billed() => Vec::new(),
            Prorate::Never => Vec::new(),
            _ => proration::of_change(before, after, billing.from),
        };
        let is_at_once = is_reset || (billing.prorate == Prorate::AtOnce && !parts.is_empty());
        let mut next = after.clone();
        if !is_reset {
            begin_next_period(&mut next);
        }
        let at = if is_at_once {
            billing.from
        } else {
            before.period_end
        };
        let mut invoice = self.upcoming_draft(&next, at);
        (invoice.period_start, invoice.period_end) = (before.period_start, at);
        let mut lines = Vec::new();
        if is_reset || !is_at_once {
            lines.extend(next.items.iter().map(|item| {
                lines::of_subscription(format!("il_tmp_{}", item.id), item, &next, false)
            }));
        }
        lines.extend(parts.into_iter().enumerate().map(|(index, part)| Line {
            id: format!("il_tmp_{index}"),
            ..line_of(before, part, &format!("ii_tmp_{index}"))
        }));
        if let Some(line) = lines.first() {
            invoice.currency.clone_from(&line.currency);
        }
        if !is_at_once {
            lines.extend(self.pending_for(&invoice).map(|item| Line {
                id: format!("il_tmp_{}", item.id),
                ..item.line.clone()
            }));
        }
        invoice.lines = Arc::new(lines);
        invoice
    }

    fn upcoming_draft(&self, of: &Subscription, at: i64) -> Invoice {
        let mut invoice = Invoice::draft(String::new(), at, of.customer.clone(), "upcoming");
        let customer = self.customers.get(&of.customer);
        invoice.customer_email = customer.and_then(|customer| customer.email.clone());
        invoice.next_attempt = Some(at + DRAFT_FOR);
        invoice.parent = Some(Parent {
            subscription: of.id.clone(),
            metadata: of.metadata.clone(),
        });
        invoice
    }

    /// `invoice.upcoming`: what the renewal will be about, and no id.
    pub(in crate::sandbox) fn emit_upcoming(&mut self, at: i64, subscription_id: &str) {
        let Some(subscription) = self.subscriptions.get(subscription_id) else {
            return;
        };
        let billing = Billing {
            prorate: Prorate::Never,
            from: at,
        };
        let invoice = self.invoice_after(subscription, subscription, billing);
        let object = Snapshot::Invoice(Box::new(invoice));
        self.emit(at, "invoice.upcoming", object, None);
    }
}

impl Status {
    /// It goes on: there will be another invoice.
    fn is_alive(self) -> bool {
        matches!(
            self,
            Status::Trialing | Status::Active | Status::PastDue | Status::Unpaid
        )
    }
}
