//! Changes, pauses and ends of a subscription by request: what each does to it, and what is billed.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Stripe,
    billing::{Ask, Billing},
    changes::{anchor_now, flag},
    errors,
    lifecycle::begin_period_at,
    model::{ApiVersion, Status},
    shapes,
};
use crate::sandbox::wire::{Reply, Request};

impl Stripe {
    pub(super) fn update_subscription(
        &mut self,
        id: &str,
        request: &Request,
        version: ApiVersion,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let at = now.timestamp();
        let ask = Ask {
            params: &request.params,
            version,
            at,
        };
        let before = self.subscriptions.get(id).cloned();
        let before = before.ok_or_else(|| errors::no_such("subscription", id))?;
        let changes = self.changes_of(&before, &request.params, at)?;
        let billing = Billing::of(ask, &before, "proration_behavior", "proration_date")?;
        let is_reset = anchor_now(&request.params, "billing_cycle_anchor")?;
        let mut changed = before.clone();
        changes.apply(&mut changed, || self.ids.next("si", 14), at);
        if changed.items.is_empty() {
            return Err(errors::not_now(
                "A subscription must have at least one active plan.",
            ));
        }
        let is_reset = is_reset || before.rhythm() != changed.rhythm();
        if is_reset && changed.status.is_billed() {
            begin_period_at(&mut changed, at);
        }
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            *subscription = changed;
        }
        let invoice = self.bill_change(at, &before, billing);
        self.schedule(id);
        self.emit_change(at, id, before);
        self.collect_update(at, invoice);
        self.get_subscription(id, request, version)
    }

    /// `POST …/pause`: no invoices and no new periods until it is resumed.
    pub(super) fn pause_subscription(
        &mut self,
        id: &str,
        version: ApiVersion,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let subscription = self.subscriptions.get(id);
        let subscription = subscription.ok_or_else(|| errors::no_such("subscription", id))?;
        if !matches!(
            subscription.status,
            Status::Active | Status::PastDue | Status::Trialing
        ) {
            return Err(errors::not_now(
                "Only a subscription that goes on can be paused.",
            ));
        }
        self.pause(now.timestamp(), id);
        self.shown(id, version)
    }

    /// Out of `paused`. The new period is billed at once.
    pub(super) fn resume_subscription(
        &mut self,
        id: &str,
        version: ApiVersion,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let subscription = self.subscriptions.get(id);
        let subscription = subscription.ok_or_else(|| errors::no_such("subscription", id))?;
        if subscription.status != Status::Paused {
            return Err(errors::not_now(
                "Only a paused subscription can be resumed.",
            ));
        }
        self.resume(now.timestamp(), id);
        self.shown(id, version)
    }

    /// At once.
    pub(super) fn cancel_subscription(
        &mut self,
        id: &str,
        request: &Request,
        version: ApiVersion,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let living = self
            .subscriptions
            .get(id)
            .filter(|row| row.status != Status::Canceled);
        let living = living.ok_or_else(|| errors::no_such("subscription", id))?;
        let before = living.clone();
        let prorates = flag(&request.params, "prorate")?.unwrap_or(false);
        let invoices = flag(&request.params, "invoice_now")?.unwrap_or(false);
        let at = now.timestamp();
        self.bill_end(at, &before, prorates, invoices);
        self.end_subscription(at, id, "cancellation_requested");
        self.shown(id, version)
    }

    fn shown(&self, id: &str, version: ApiVersion) -> Result<Value, Reply> {
        let subscription = self.subscriptions.get(id);
        let subscription = subscription.ok_or_else(|| errors::no_such("subscription", id))?;
        Ok(shapes::subscription(subscription, version))
    }
}
