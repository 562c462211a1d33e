//! What time does to subscriptions: trials end, periods follow one another, drafts are finalized and
//! collected.

use chrono::{DateTime, Utc};

use super::{
    Stripe,
    agenda::{Happening, next_of},
    model::{Status, Subscription},
};

impl Stripe {
    /// Let everything happen that fell due up to now, in the order of time.
    pub fn catch_up(&mut self, now: DateTime<Utc>) {
        while self
            .agenda
            .first()
            .is_some_and(|(at, _, _)| *at <= now.timestamp())
        {
            let Some((at, what, id)) = self.agenda.pop_first() else {
                return;
            };
            if self.is_still_so(at, what, &id) {
                self.happen(at, what, &id);
            }
        }
    }

    /// When the next entry of the agenda is due, whether or not it still holds then.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        let (at, _, _) = self.agenda.first()?;
        DateTime::from_timestamp(*at, 0)
    }

    fn is_still_so(&self, at: i64, what: Happening, id: &str) -> bool {
        let next = match what {
            Happening::Finalization | Happening::Collection => {
                self.invoices.get(id).and_then(|invoice| invoice.next())
            }
            _ => {
                let subscription = self.subscriptions.get(id);
                subscription.and_then(|row| next_of(row, self.renewal_notice))
            }
        };
        next == Some((at, what))
    }

    fn happen(&mut self, at: i64, what: Happening, id: &str) {
        match what {
            Happening::Expiry => self.expire(at, id),
            Happening::TrialNotice => self.announce_trial_end(at, id),
            Happening::RenewalNotice => self.announce_renewal(at, id),
            Happening::PeriodEnd => self.end_period(at, id),
            Happening::Finalization => self.finalize_when_due(at, id),
            Happening::Collection => self.attempt_when_due(at, id),
        }
    }

    /// Note when something becomes due to a subscription. To be called after every change.
    pub(super) fn schedule(&mut self, id: &str) {
        let subscription = self.subscriptions.get(id);
        let next = subscription.and_then(|row| next_of(row, self.renewal_notice));
        if let Some((at, what)) = next {
            self.agenda.insert((at, what, id.to_owned()));
        }
    }

    /// The first payment did not come in time.
    fn expire(&mut self, at: i64, id: &str) {
        self.change_subscription(at, id, |subscription| {
            subscription.status = Status::IncompleteExpired;
        });
        let invoice = self.subscriptions.get(id);
        let invoice = invoice.and_then(|subscription| subscription.latest_invoice.clone());
        if let Some(invoice) = invoice {
            self.void(at, &invoice);
        }
    }

    fn announce_trial_end(&mut self, at: i64, id: &str) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.trial_end_announced = true;
        }
        self.schedule(id);
        self.emit_subscription(at, "customer.subscription.trial_will_end", id);
    }

    /// `invoice.upcoming`, unless nothing is collected or nothing follows.
    fn announce_renewal(&mut self, at: i64, id: &str) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        subscription.announced_end = Some(subscription.period_end);
        let is_told = subscription.pause_behavior.is_none() && !subscription.cancel_at_period_end;
        self.schedule(id);
        if is_told {
            self.emit_upcoming(at, id);
        }
    }

    fn end_period(&mut self, at: i64, id: &str) {
        let Some(subscription) = self.subscriptions.get(id) else {
            return;
        };
        if subscription.cancel_at_period_end {
            return self.end_subscription(at, id, "cancellation_requested");
        }
        let trial_without_payment = subscription.status == Status::Trialing
            && subscription.default_payment_method.is_none();
        match subscription.missing_payment_method.as_str() {
            "pause" if trial_without_payment => self.pause(at, id),
            "cancel" if trial_without_payment => self.end_subscription(at, id, "payment_failed"),
            _ => self.renew(at, id),
        }
    }

    /// The next period begins, with an invoice of its own.
    fn renew(&mut self, at: i64, id: &str) {
        let Some(before) = self.subscriptions.get(id).cloned() else {
            return;
        };
        let ended = (before.period_start, before.period_end);
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            begin_next_period(subscription);
        }
        self.cycle_invoice(at, id, ended);
        self.schedule(id);
        self.emit_change(at, id, before);
    }

    /// At the end of a trial that nobody pays for, or because somebody wants it.
    pub(super) fn pause(&mut self, at: i64, id: &str) {
        self.change_subscription(at, id, |subscription| {
            subscription.pause_reason = match subscription.status {
                Status::Trialing => "trial_end_without_payment_method",
                _ => "pause_requested",
            };
            subscription.status = Status::Paused;
            subscription.paused_at = Some(at);
        });
        self.emit_subscription(at, "customer.subscription.paused", id);
    }

    /// A new period begins with the resumption, and is billed at once.
    pub(super) fn resume(&mut self, at: i64, id: &str) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        let before = subscription.clone();
        subscription.status = Status::Active;
        subscription.paused_at = None;
        begin_period_at(subscription, at);
        self.schedule(id);
        let invoice = self.bill_resumption(at, &before);
        self.emit_change(at, id, before);
        self.collect_update(at, invoice);
        self.emit_subscription(at, "customer.subscription.resumed", id);
    }

    /// For good.
    pub(super) fn end_subscription(&mut self, at: i64, id: &str, reason: &'static str) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        subscription.status = Status::Canceled;
        subscription.ended_at = Some(at);
        subscription.canceled_at = subscription.canceled_at.or(Some(at));
        subscription.cancellation_reason = Some(reason);
        let customer = subscription.customer.clone();
        self.stop_collecting(&customer);
        self.emit_subscription(at, "customer.subscription.deleted", id);
    }
}

pub(super) fn begin_next_period(subscription: &mut Subscription) {
    if subscription.status == Status::Trialing {
        subscription.status = Status::Active;
    }
    subscription.period_start = subscription.period_end;
    subscription.period_end = next_end(subscription);
}

/// Counted from now on.
pub(super) fn begin_period_at(subscription: &mut Subscription, at: i64) {
    subscription.anchor = at;
    subscription.period_start = at;
    subscription.period_end = next_end(subscription);
}

/// Counted from the anchor, never from the period before: the 31st comes back after February.
fn next_end(subscription: &Subscription) -> i64 {
    let start = subscription.period_start;
    let first = subscription.items.first();
    first.map_or(i64::MAX, |item| {
        item.price.period_end(subscription.anchor, start)
    })
}
