//! What a change of a subscription is billed: at once, with the next renewal, or not at all.

use std::sync::Arc;

use super::{
    super::{Stripe, errors, model::Subscription},
    Ask,
    amounts::integer,
    model::{InvoiceItem, Line, LineKind, Pricing},
    proration::{self, Part},
};
use crate::sandbox::wire::Reply;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Prorate {
    /// With the next renewal; what Stripe does unless told otherwise.
    Later,
    AtOnce,
    Never,
}

/// How a change is billed, and the second it is reckoned from.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Billing {
    pub prorate: Prorate,
    pub from: i64,
}

impl Billing {
    /// From `proration_behavior` and `proration_date` under those names.
    pub fn of(
        ask: Ask,
        subscription: &Subscription,
        behavior: &str,
        date: &str,
    ) -> Result<Billing, Reply> {
        let prorate = match ask.params.get(behavior) {
            None | Some("create_prorations") => Prorate::Later,
            Some("always_invoice") => Prorate::AtOnce,
            Some("none") => Prorate::Never,
            Some(_) => {
                let message = "Invalid proration_behavior: must be one of create_prorations, \
                               always_invoice, or none";
                return Err(errors::invalid_parameter(behavior, message));
            }
        };
        let from = integer(ask.params, date)?.unwrap_or(ask.at);
        let period = subscription.period_start..=subscription.period_end;
        if ask.params.get(date).is_some() && !period.contains(&from) {
            let message = "The proration date lies outside of the current period.";
            return Err(errors::invalid_parameter(date, message));
        }
        Ok(Billing { prorate, from })
    }
}

impl Stripe {
    /// Bill a change that was made to a subscription. Returns the invoice that is to be paid at
    /// once, if there is one.
    pub(in crate::sandbox) fn bill_change(
        &mut self,
        at: i64,
        before: &Subscription,
        billing: Billing,
    ) -> Option<String> {
        let after = self.subscriptions.get(&before.id)?.clone();
        if !before.status.is_billed() || !after.status.is_billed() {
            return None;
        }
        let is_reset = after.period_start != before.period_start;
        let items = match billing.prorate {
            Prorate::Never => Vec::new(),
            _ => self.add_prorations(
                at,
                before,
                proration::of_change(before, &after, billing.from),
            ),
        };
        if is_reset || (billing.prorate == Prorate::AtOnce && !items.is_empty()) {
            return self.invoice_of_update(at, before, is_reset, &items);
        }
        None
    }

    /// Put parts of a period on pending items. Returns their ids.
    fn add_prorations(&mut self, at: i64, of: &Subscription, parts: Vec<Part>) -> Vec<String> {
        let mut ids = Vec::new();
        for part in parts {
            let id = self.ids.next("ii", 24);
            let line = line_of(of, part, &id);
            self.add_item(at, &id, &of.customer, None, line);
            ids.push(id);
        }
        ids
    }

    /// Finalized at once and never collected by itself: whoever asked for the change pays.
    fn invoice_of_update(
        &mut self,
        at: i64,
        before: &Subscription,
        has_new_period: bool,
        items: &[String],
    ) -> Option<String> {
        let id = self.new_invoice(at, &before.id, "subscription_update")?;
        self.change_invoice(&id, |invoice| {
            (invoice.period_start, invoice.period_end) = (before.period_start, at);
            if !has_new_period {
                invoice.lines = Arc::default();
            }
        });
        self.attach_silently(&id, items);
        self.close_draft(at, &id, false);
        self.emit_invoice(at, "invoice.created", &id);
        self.emit_invoice(at, "invoice.finalized", &id);
        self.pay_nothing(at, &id);
        Some(id)
    }

    /// Charge the invoice of a change, unless nothing is left to pay.
    pub(in crate::sandbox) fn collect_update(&mut self, at: i64, invoice: Option<String>) {
        let open = invoice.filter(|id| self.invoices.get(id).is_some_and(|row| row.is_open()));
        if let Some(id) = open {
            self.attempt(at, &id);
        }
    }

    /// The invoice of a subscription that goes on after a pause: its new period as a whole.
    pub(in crate::sandbox) fn bill_resumption(
        &mut self,
        at: i64,
        before: &Subscription,
    ) -> Option<String> {
        self.invoice_of_update(at, before, true, &[])
    }

    /// What an end at once leaves to bill. With `prorates` the time not used is given back; with
    /// `invoices` what is pending for the subscription is billed now; with neither what its changes
    /// left pending is dropped.
    pub(in crate::sandbox) fn bill_end(
        &mut self,
        at: i64,
        of: &Subscription,
        prorates: bool,
        invoices: bool,
    ) {
        if prorates && of.status.is_billed() {
            self.add_prorations(at, of, proration::of_end(of, at));
        }
        let own = self.items.of(&of.customer);
        let pending = own.filter(|item| {
            let is_own = item.line.subscription.as_ref() == Some(&of.id);
            is_own && item.invoice.is_none() && !item.is_deleted
        });
        let (prorations, others): (Vec<_>, Vec<_>) =
            pending.partition(|item| item.line.kind == LineKind::Proration);
        let ids = |items: Vec<&InvoiceItem>| -> Vec<String> {
            items.into_iter().map(|item| item.id.clone()).collect()
        };
        let (prorations, others) = (ids(prorations), ids(others));
        if invoices {
            let items = [prorations, others].concat();
            if !items.is_empty() {
                let invoice = self.invoice_of_update(at, of, false, &items);
                self.collect_update(at, invoice);
            }
        } else if !prorates {
            for id in prorations {
                self.drop_item(at, &id);
            }
        }
    }
}

/// An item's line; it gets an id of its own on an invoice.
pub(super) fn line_of(of: &Subscription, part: Part, item_id: &str) -> Line {
    Line {
        id: String::new(),
        kind: LineKind::Proration,
        item: Some(item_id.to_owned()),
        subscription: Some(of.id.clone()),
        subscription_item: Some(part.subscription_item),
        amount: part.amount,
        currency: part.price.currency.clone(),
        description: Some(part.description),
        metadata: of.metadata.clone(),
        period_start: part.start,
        period_end: part.end,
        quantity: part.quantity,
        pricing: Pricing::of(&part.price),
        is_discountable: false,
    }
}
