//! What time does to subscriptions: trials end, periods follow one another, drafts are finalized.

use chrono::{DateTime, Utc};

use super::{
    Stripe,
    model::{Invoice, InvoiceStatus, Status, Subscription},
};

/// So long before its end a trial is announced to end; a shorter one at once.
const TRIAL_NOTICE: i64 = 3 * 24 * 60 * 60;

enum Due {
    TrialNotice(String),
    PeriodEnd(String),
    Finalization(String),
}

impl Stripe {
    /// Let everything happen that fell due up to now, in the order of time.
    pub fn catch_up(&mut self, now: DateTime<Utc>) {
        while let Some((at, due)) = self.earliest_due(now.timestamp()) {
            match due {
                Due::TrialNotice(id) => self.announce_trial_end(at, &id),
                Due::PeriodEnd(id) => self.end_period(at, &id),
                Due::Finalization(id) => self.finalize(at, &id),
            }
        }
    }

    fn earliest_due(&self, now: i64) -> Option<(i64, Due)> {
        let notices = self.subscriptions.all().iter().filter_map(|row| {
            Some((trial_notice_at(row)?, Due::TrialNotice(row.id.clone())))
                .filter(|(at, _)| *at <= now)
        });
        let period_ends = self
            .subscriptions
            .all()
            .iter()
            .filter(|row| row.is_running() && row.period_end <= now);
        let period_ends = period_ends.map(|row| (row.period_end, Due::PeriodEnd(row.id.clone())));
        let drafts = self.invoices.all().iter().filter_map(|row| {
            let at = finalization_at(row).filter(|at| *at <= now)?;
            Some((at, Due::Finalization(row.id.clone())))
        });
        notices
            .chain(period_ends)
            .chain(drafts)
            .min_by_key(|(at, _)| *at)
    }

    fn announce_trial_end(&mut self, at: i64, id: &str) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.trial_end_announced = true;
        }
        self.emit_subscription(at, "customer.subscription.trial_will_end", id);
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
        let Some(before) = self.subscription_in_both(id) else {
            return;
        };
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        let ended = (subscription.period_start, subscription.period_end);
        begin_next_period(subscription);
        self.cycle_invoice(at, id, ended);
        self.emit_change(at, id, &before);
    }

    /// At the end of a trial that nobody pays for.
    pub(super) fn pause(&mut self, at: i64, id: &str) {
        self.change_subscription(at, id, |subscription| {
            subscription.status = Status::Paused;
            subscription.paused_at = Some(at);
        });
        self.emit_subscription(at, "customer.subscription.paused", id);
    }

    /// A new period begins with the resumption.
    pub(super) fn resume(&mut self, at: i64, id: &str) {
        self.change_subscription(at, id, |subscription| {
            subscription.status = Status::Active;
            subscription.paused_at = None;
            subscription.anchor = at;
            subscription.period_start = at;
            subscription.period_end = next_end(subscription);
        });
        self.emit_subscription(at, "customer.subscription.resumed", id);
    }

    /// For good.
    pub(super) fn end_subscription(&mut self, at: i64, id: &str, reason: &'static str) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.status = Status::Canceled;
            subscription.ended_at = Some(at);
            subscription.canceled_at = subscription.canceled_at.or(Some(at));
            subscription.cancellation_reason = Some(reason);
        }
        self.emit_subscription(at, "customer.subscription.deleted", id);
    }
}

fn begin_next_period(subscription: &mut Subscription) {
    if subscription.status == Status::Trialing {
        subscription.status = Status::Active;
    }
    subscription.period_start = subscription.period_end;
    subscription.period_end = next_end(subscription);
}

fn next_end(subscription: &Subscription) -> i64 {
    let start = subscription.period_start;
    let first = subscription.items.first();
    first.map_or(i64::MAX, |item| {
        item.price.period_end(subscription.anchor, start)
    })
}

fn trial_notice_at(subscription: &Subscription) -> Option<i64> {
    if subscription.status != Status::Trialing || subscription.trial_end_announced {
        return None;
    }
    let notice = subscription.trial_end? - TRIAL_NOTICE;
    Some(notice.max(subscription.created))
}

fn finalization_at(invoice: &Invoice) -> Option<i64> {
    invoice
        .finalizes_at
        .filter(|_| invoice.status == InvoiceStatus::Draft)
}
