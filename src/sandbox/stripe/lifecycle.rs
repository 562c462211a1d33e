//! What time does to subscriptions: trials end, periods follow one another, drafts are finalized.

use chrono::{DateTime, Utc};

use super::{
    Stripe,
    model::{Status, Subscription},
};

/// So long before its end a trial is announced to end; a shorter one at once.
const TRIAL_NOTICE: i64 = 3 * 24 * 60 * 60;

/// So long may the first payment take.
const INCOMPLETE_FOR: i64 = 23 * 60 * 60;

#[derive(Clone, Copy)]
enum Happening {
    Expiry,
    TrialNotice,
    PeriodEnd,
    Finalization,
}

struct Due<'a> {
    at: i64,
    what: Happening,
    /// The subscription's, or the invoice's.
    id: &'a str,
}

impl Stripe {
    /// Let everything happen that fell due up to now, in the order of time.
    pub fn catch_up(&mut self, now: DateTime<Utc>) {
        while let Some(Due { at, what, id }) = self.earliest_due(now.timestamp()) {
            let id = id.to_owned();
            match what {
                Happening::Expiry => self.change_subscription(at, &id, |subscription| {
                    subscription.status = Status::IncompleteExpired;
                }),
                Happening::TrialNotice => self.announce_trial_end(at, &id),
                Happening::PeriodEnd => self.end_period(at, &id),
                Happening::Finalization => {
                    self.drafts.pop_first();
                    self.finalize(at, &id);
                }
            }
        }
    }

    fn earliest_due(&self, now: i64) -> Option<Due<'_>> {
        let lives = self.subscriptions.all().iter().filter_map(next_of);
        let first_draft = self.drafts.first().map(|(at, id)| Due {
            at: *at,
            what: Happening::Finalization,
            id,
        });
        let due = lives.chain(first_draft).filter(|due| due.at <= now);
        due.min_by_key(|due| due.at)
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

/// What happens next to a subscription.
fn next_of(subscription: &Subscription) -> Option<Due<'_>> {
    let (at, what) = match subscription.status {
        Status::Incomplete => (subscription.created + INCOMPLETE_FOR, Happening::Expiry),
        Status::Trialing if !subscription.trial_end_announced => {
            let notice = subscription.period_end - TRIAL_NOTICE;
            (notice.max(subscription.created), Happening::TrialNotice)
        }
        Status::Trialing | Status::Active | Status::PastDue | Status::Unpaid => {
            (subscription.period_end, Happening::PeriodEnd)
        }
        Status::IncompleteExpired | Status::Paused | Status::Canceled => return None,
    };
    let id = &subscription.id;
    Some(Due { at, what, id })
}
