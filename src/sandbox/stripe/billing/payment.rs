//! How an open invoice is paid: attempts, repeated ones, and what they do to its subscription.

use serde_json::Value;

use super::{
    super::{Stripe, changes::flag, errors, model::Status},
    Ask,
    model::{Invoice, InvoiceStatus},
};
use crate::sandbox::{settings::LastAttempt, wire::Reply};

const DAY: i64 = 24 * 60 * 60;

impl Stripe {
    /// `POST …/pay`: at once, a draft too. A card that is declined leaves its mark and is answered 402.
    pub(super) fn pay_by_request(&mut self, id: &str, ask: Ask) -> Result<Value, Reply> {
        ask.knows_only(&["paid_out_of_band", "payment_method", "off_session"])?;
        let is_out_of_band = flag(ask.params, "paid_out_of_band")?.unwrap_or(false);
        match self.invoice(id)?.status {
            InvoiceStatus::Draft => self.finalize(ask.at, id, false),
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
            InvoiceStatus::Paid => return Err(errors::not_now("Invoice is already paid")),
            InvoiceStatus::Void => {
                return Err(errors::not_now("A void invoice cannot be paid."));
            }
        }
        if self.invoice(id)?.status == InvoiceStatus::Paid {
            return self.get_invoice(id, ask);
        }
        if is_out_of_band {
            self.change_invoice(id, |invoice| invoice.is_paid_out_of_band = true);
            self.set_paid(ask.at, id);
        } else if !self.attempt(ask.at, id) {
            return Err(errors::card_declined());
        }
        self.get_invoice(id, ask)
    }

    /// Charge the customer for an open invoice. Returns whether it is paid.
    pub(in crate::sandbox) fn attempt(&mut self, at: i64, id: &str) -> bool {
        let invoice = self.invoices.get(id);
        let customer = invoice.and_then(|invoice| self.customers.get(&invoice.customer));
        // A card that was saved with a subscription pays nothing else unless it is named. Of who has none at all it is
        // only known whether they pay.
        let has_method = invoice.is_some_and(|invoice| {
            let mut theirs = self.subscriptions.of(&invoice.customer);
            invoice.subscription().is_some()
                || invoice.default_payment_method.is_some()
                || customer.is_some_and(|customer| customer.default_payment_method.is_some())
                || theirs.all(|one| one.default_payment_method.is_none())
        });
        let pays = customer.is_some_and(|customer| customer.pays && !customer.is_deleted);
        let pays = pays && has_method;
        if pays {
            self.charge(at, id);
            self.change_invoice(id, |invoice| {
                invoice.is_attempted = true;
                invoice.attempt_count += 1;
            });
            self.set_paid(at, id);
        } else {
            self.note_failure(at, id);
        }
        pays
    }

    /// The attempt that was due by itself.
    pub(in crate::sandbox) fn attempt_when_due(&mut self, at: i64, id: &str) {
        self.attempt(at, id);
    }

    /// An invoice that leaves nothing to pay is paid without a charge.
    pub(super) fn pay_nothing(&mut self, at: i64, id: &str) {
        let invoice = self.invoices.get(id);
        if invoice
            .is_some_and(|invoice| invoice.status == InvoiceStatus::Open && invoice.amount_due == 0)
        {
            self.change_invoice(id, |invoice| invoice.is_attempted = true);
            self.set_paid(at, id);
        }
    }

    fn set_paid(&mut self, at: i64, id: &str) {
        self.change_invoice(id, |invoice| {
            invoice.status = InvoiceStatus::Paid;
            invoice.amount_paid = invoice.amount_due;
            invoice.paid_at = Some(at);
            invoice.auto_advance = false;
            invoice.next_attempt = None;
        });
        self.emit_invoice(at, "invoice.paid", id);
        self.emit_invoice(at, "invoice.payment_succeeded", id);
        let Some(subscription) = self.invoices.get(id).and_then(Invoice::billed) else {
            return;
        };
        let subscription = subscription.to_owned();
        let owes = self.owes(&subscription);
        self.change_subscription(at, &subscription, |subscription| {
            match subscription.status {
                Status::Incomplete => subscription.status = Status::Active,
                Status::PastDue | Status::Unpaid if !owes => subscription.status = Status::Active,
                _ => {}
            }
        });
    }

    /// Whether one of its invoices is still open.
    fn owes(&self, subscription_id: &str) -> bool {
        let Some(subscription) = self.subscriptions.get(subscription_id) else {
            return false;
        };
        let mut own = self.invoices.of(&subscription.customer);
        own.any(|invoice| {
            invoice.status == InvoiceStatus::Open && invoice.billed() == Some(subscription_id)
        })
    }

    fn note_failure(&mut self, at: i64, id: &str) {
        let waits = self.dunning.retry_after_days.clone();
        self.change_invoice(id, |invoice| {
            let retry = waits.get(invoice.attempt_count as usize);
            invoice.is_attempted = true;
            invoice.attempt_count += 1;
            invoice.next_attempt = retry
                .filter(|_| invoice.auto_advance)
                .map(|days| at + i64::from(*days) * DAY);
        });
        self.emit_invoice(at, "invoice.payment_failed", id);
        let Some(invoice) = self.invoices.get(id) else {
            return;
        };
        let was_last = invoice.attempt_count as usize > waits.len();
        let Some(subscription) = invoice.billed().map(str::to_owned) else {
            return;
        };
        self.change_subscription(at, &subscription, |subscription| {
            if subscription.status == Status::Active {
                subscription.status = Status::PastDue;
            }
        });
        if was_last {
            self.give_up_collecting(at, &subscription);
        }
    }

    /// After the last attempt, as the account is set.
    fn give_up_collecting(&mut self, at: i64, id: &str) {
        let subscription = self.subscriptions.get(id);
        if subscription.is_none_or(|row| row.status != Status::PastDue) {
            return;
        }
        match self.dunning.after_the_last {
            LastAttempt::PastDue => {}
            LastAttempt::Unpaid => self.change_subscription(at, id, |subscription| {
                subscription.status = Status::Unpaid;
            }),
            LastAttempt::Cancel => self.end_subscription(at, id, "payment_failed"),
        }
    }

    /// When a subscription ends, what its customer still owes is no longer collected by itself.
    pub(in crate::sandbox) fn stop_collecting(&mut self, customer: &str) {
        let open = self.invoices.of(customer);
        let open = open.filter(|invoice| invoice.status == InvoiceStatus::Open);
        let open: Vec<String> = open.map(|invoice| invoice.id.clone()).collect();
        for id in open {
            self.change_invoice(&id, |invoice| {
                invoice.auto_advance = false;
                invoice.next_attempt = None;
            });
        }
    }
}
