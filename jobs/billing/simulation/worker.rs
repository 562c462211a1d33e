//! The jobs, as far as they decide: periods, rating, placing, and getting what is owed onto invoices. One run may
//! end anywhere; whoever comes next goes on from the book.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    History, Stalled,
    book::{Charge, InvoiceRow, PeriodRow, Target},
    calls::End,
    faults::Fault,
    script::{Renewal, catalogue, minutes},
    stripe::{Effect, Request},
    wrong,
};
use crate::{
    billing::{
        Revision,
        matching::{Line, Wanted, compare},
        periods::{self, Subscribed},
        placement::{self, Draft, Owed, Place},
        rate, revise,
    },
    close_period, compare_invoice,
    usage::Span,
};

/// When `invoice.upcoming` is sent, as many days before a period's end.
const UPCOMING_BEFORE: TimeDelta = TimeDelta::days(3);
const CURRENCY: &str = "usd";

/// A run that ended in the middle.
pub struct Crashed;

impl History {
    /// One run of everything that is due. Whether another one is wanted.
    pub fn run(&mut self) -> bool {
        self.steps_left = match self.is_calm {
            true => usize::MAX,
            false => 1 + self.dice.below(30) as usize,
        };
        match self.do_what_is_due() {
            Ok(wants_more) => wants_more,
            Err(Crashed) => {
                self.note(|| "the worker dies".to_owned());
                true
            }
        }
    }

    fn do_what_is_due(&mut self) -> Result<bool, Crashed> {
        self.plan_periods();
        self.wake_stalled();
        let mut wants_more = self.rate_periods()?;
        self.step()?;
        wants_more |= self.place_charges();
        for invoice in 0..self.book.invoices.len() {
            wants_more |= self.work_on(invoice)?;
        }
        Ok(wants_more && !self.book.is_parked)
    }

    /// A commit is behind us; here a worker may die.
    fn step(&mut self) -> Result<(), Crashed> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Crashed)?;
        Ok(())
    }

    pub fn plan_periods(&mut self) {
        let last = self.book.periods.last().map(|row| periods::Last {
            period: row.period.clone(),
            is_closed: row.is_closed,
        });
        let subscribed = [self.subscribed()];
        let mut plan = periods::plan(catalogue(), last.as_ref(), &subscribed, self.now);
        if let (Some(period), Some(row)) = (plan.last.as_mut(), self.book.periods.last_mut()) {
            if self.fault == Some(Fault::LastPlanForAll) {
                wrong::last_plan_for_all(period, &subscribed[0]);
            }
            row.period = period.clone();
            row.is_stale = true;
        }
        let rows = plan.following.into_iter().map(|period| PeriodRow {
            period,
            is_closed: false,
            is_stale: true,
        });
        self.book.periods.extend(rows);
    }

    /// The subscription as Stripe tells of it now.
    fn subscribed(&self) -> Subscribed {
        let script = &self.script;
        let ended_at = script.ended_at.filter(|at| *at <= self.now);
        let at = ended_at.unwrap_or(self.now);
        let next = script.bounds.partition_point(|bound| *bound <= at);
        let period = Span {
            starts_at: script.bounds[next - 1],
            ends_at: script.bounds[next],
        };
        Subscribed {
            subscription_ref: "sub_1".to_owned(),
            customer_ref: "cus_1".to_owned(),
            tier: Some(script.tier_at(self.now).to_owned()),
            began_at: script.began_at,
            ended_at,
            paused_since: None,
            period: Some(period),
            anchor_at: Some(script.began_at),
        }
    }

    /// Whether a period is still to settle.
    fn rate_periods(&mut self) -> Result<bool, Crashed> {
        let mut settles = false;
        for place in 0..self.book.periods.len() {
            let row = &self.book.periods[place];
            let is_over = row.period.span.ends_at <= self.now;
            let is_due = match row.is_closed {
                true => row.is_stale && !self.forgets_late_usage(),
                false => self.may_close(row.period.span.ends_at),
            };
            settles |= is_over && !row.is_closed && !is_due;
            if is_due {
                self.step()?;
                if !self.is_calm && self.dice.one_in(4) {
                    self.stall(place);
                }
                self.close(place);
            }
        }
        Ok(settles)
    }

    fn may_close(&self, ends_at: DateTime<Utc>) -> bool {
        if self.fault == Some(Fault::BilledWhenUpcoming) {
            return ends_at - UPCOMING_BEFORE <= self.now;
        }
        let facts = close_period::Facts {
            ends_at,
            // Every run asks Stripe first.
            synced_at: Some(self.now),
        };
        close_period::decide(&facts, self.now) == close_period::Plan::Rate
    }

    fn forgets_late_usage(&self) -> bool {
        let forgetful = [
            Fault::LateUsageDropped,
            Fault::CountersResetOnPayment,
            Fault::BilledWhenUpcoming,
        ];
        self.fault.is_some_and(|fault| forgetful.contains(&fault))
    }

    /// Under the account's lock: read, decide and write are one.
    fn close(&mut self, place: usize) {
        let revisions = self.revisions(place);
        self.write(place, revisions);
    }

    fn write(&mut self, place: usize, revisions: Vec<Revision>) {
        let row = &mut self.book.periods[place];
        let is_late = row.is_closed;
        row.is_closed = true;
        row.is_stale = false;
        for revision in &revisions {
            let when = if is_late { "is late" } else { "is in time" };
            self.note(|| format!("{when}: {revision:?}"));
        }
        let charges = revisions.into_iter().map(|revision| Charge {
            period: place,
            revision,
            is_late,
            on: None,
        });
        self.book.charges.extend(charges);
    }

    fn revisions(&self, place: usize) -> Vec<Revision> {
        let row = &self.book.periods[place];
        let used = self.used(row.period.span);
        let rated = match self.fault {
            Some(Fault::RoundedPerEvent) => {
                wrong::rounded_per_event(&row.period, &self.book, used.numbers)
            }
            _ => rate(&row.period.terms, &used).expect("amounts of the simulation are small"),
        };
        let revised = rated.iter().filter_map(|rated| {
            let last = self.book.last(place, &rated.meter, &rated.subject);
            revise(last.as_ref(), rated)
        });
        revised.collect()
    }

    /// A second worker has read what it needs, and loses its place.
    fn stall(&mut self, place: usize) {
        let revisions = self.revisions(place);
        let wakes_at = self.now + minutes(&mut self.dice, 60);
        self.stalled.push(Stalled {
            wakes_at,
            period: place,
            revisions,
        });
    }

    /// It takes the lock, and so reads anew; without one it writes what it knew.
    fn wake_stalled(&mut self) {
        let now = self.now;
        let (awake, asleep) = std::mem::take(&mut self.stalled)
            .into_iter()
            .partition(|one| one.wakes_at <= now);
        self.stalled = asleep;
        let awake: Vec<Stalled> = awake;
        for one in awake {
            match self.fault {
                Some(Fault::ClosedWithoutALock) => self.write(one.period, one.revisions),
                _ if !self.forgets_late_usage() => self.close(one.period),
                _ => {}
            }
        }
    }

    /// Whether the draft of a renewal is waited for.
    fn place_charges(&mut self) -> bool {
        let owed: Vec<usize> = self.book.owed().collect();
        let told: Vec<Owed> = owed.iter().map(|charge| self.owed(*charge)).collect();
        let Some(last_end) = told.iter().map(|one| one.period_ends_at).max() else {
            return false;
        };
        let (renewal, draft) = self.renewal(last_end);
        let target = match placement::place(&told, &renewal, self.now) {
            Place::Renewal => draft.map(Target::Renewal),
            Place::Own => Some(Target::Own),
            Place::WaitUntil(_) => return true,
            Place::Carry(_) => None,
        };
        let Some(target) = target else {
            return false;
        };
        let on = self.invoice_for(target);
        for charge in owed {
            self.note(|| format!("charge {charge} goes on {on} {target:?}"));
            self.book.charges[charge].on = Some(on);
        }
        false
    }

    fn owed(&self, charge: usize) -> Owed {
        let one = &self.book.charges[charge];
        Owed {
            charge_id: Uuid::from_u128(charge as u128),
            amount_minor: one.revision.amount_minor,
            is_late: one.is_late,
            period_ends_at: self.book.periods[one.period].period.span.ends_at,
        }
    }

    /// A renewal's draft that takes something, or what is known of the one at the end of a period; and its place.
    fn renewal(&self, last_end: DateTime<Utc>) -> (placement::Renewal<'static>, Option<usize>) {
        let now = self.now;
        let draft = |place: usize, renewal: &Renewal| Draft {
            status: match self.stripe.is_draft(place, now) {
                true => "draft",
                false => "paid",
            },
            billing_reason: "subscription_cycle",
            finalizes_at: Some(renewal.finalizes_at),
        };
        let renewals = self.script.renewals.iter().enumerate();
        let told = renewals.clone().filter(|(_, one)| one.told_at <= now);
        let takes = told
            .clone()
            .find(|(place, one)| placement::takes_charges(&draft(*place, one), now).is_ok());
        let known = takes.or_else(|| told.clone().find(|(_, one)| one.at == last_end));
        match known {
            Some((place, one)) => (placement::Renewal::Told(draft(place, one)), Some(place)),
            None if renewals.clone().any(|(_, one)| one.at == last_end) => {
                (placement::Renewal::Expected, None)
            }
            None => (placement::Renewal::None, None),
        }
    }

    fn invoice_for(&mut self, target: Target) -> usize {
        let invoices = &mut self.book.invoices;
        let there = invoices
            .iter()
            .position(|one| one.target == target && target != Target::Own);
        let place = there.unwrap_or(invoices.len());
        if there.is_none() {
            invoices.push(InvoiceRow {
                target,
                is_finished: false,
            });
        }
        invoices[place].is_finished = false;
        place
    }

    /// Make it if it is ours, put on it what belongs there, compare, finalize. Whether more is to do.
    fn work_on(&mut self, ours: usize) -> Result<bool, Crashed> {
        if self.book.invoices[ours].is_finished || self.book.is_parked {
            return Ok(false);
        }
        self.step()?;
        let on = match self.book.invoices[ours].target {
            Target::Renewal(place) => place,
            Target::Own => match self.once(Effect::Invoice { ours }, Request::MakeInvoice { ours })
            {
                End::Done(place) => place,
                End::Crashed => return Err(Crashed),
                End::Later | End::Refused => return Ok(true),
            },
        };
        if self.add_items(ours, on)? {
            return Ok(true);
        }
        let is_right = self.compare(ours, on)?;
        if !is_right || !self.finalize(ours, on)? {
            return Ok(true);
        }
        self.book.invoices[ours].is_finished = true;
        if self.fault == Some(Fault::CountersResetOnPayment) {
            self.book.counted_from = self.book.usage.len();
        }
        Ok(false)
    }

    /// Whether one of them is still on its way. What is refused for good goes elsewhere.
    fn add_items(&mut self, ours: usize, on: usize) -> Result<bool, Crashed> {
        let mut is_open = false;
        for charge in self.book.on(ours) {
            let amount_minor = self.book.charges[charge].revision.amount_minor;
            let request = Request::AddItem {
                on,
                charge,
                amount_minor,
            };
            self.step()?;
            match self.once(Effect::Item { charge, ours }, request) {
                End::Done(_) => {}
                End::Later => is_open = true,
                End::Crashed => return Err(Crashed),
                End::Refused => {
                    self.note(|| format!("charge {charge} is refused on {ours}"));
                    self.book.charges[charge].on = None;
                    is_open = true;
                }
            }
        }
        Ok(is_open)
    }

    /// Whether what stands on it is what should.
    fn compare(&mut self, ours: usize, on: usize) -> Result<bool, Crashed> {
        let charges = self.book.on(ours).into_iter();
        let wanted = charges.map(|charge| Wanted {
            charge_id: charge.to_string(),
            item_ref: self.book.ext_ref(Effect::Item { charge, ours }),
            amount_minor: self.book.charges[charge].revision.amount_minor,
            currency: CURRENCY.to_owned(),
        });
        let lines = self.stripe.lines(on).map(|(place, item)| Line {
            item_ref: place.to_string(),
            charge_id: item.charge.to_string(),
            amount_minor: item.amount_minor,
            currency: CURRENCY.to_owned(),
        });
        let wanted: Vec<Wanted> = wanted.collect();
        let lines: Vec<Line> = lines.collect();
        let differences = compare(&wanted, &lines);
        let is_draft = self.stripe.is_draft(on, self.now);
        match compare_invoice::decide(differences, is_draft) {
            compare_invoice::Plan::Matched => return Ok(true),
            compare_invoice::Plan::Park(differences) => {
                self.note(|| format!("invoice {ours} is wrong: {differences:?}"));
                self.book.is_parked = true;
            }
            compare_invoice::Plan::Delete(items) => {
                self.note(|| format!("invoice {ours} has too much: {items:?}"));
                for item in items.iter().filter_map(|item| item.parse().ok()) {
                    self.step()?;
                    if self.is_calm || !self.dice.one_in(4) {
                        self.stripe.delete(item, self.now);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Whether it is final. A renewal is so by itself, in time.
    fn finalize(&mut self, ours: usize, on: usize) -> Result<bool, Crashed> {
        match self.book.invoices[ours].target {
            Target::Renewal(place) => Ok(!self.stripe.is_draft(place, self.now)),
            Target::Own => {
                self.step()?;
                let end = self.once(Effect::Finalize { ours }, Request::Finalize { on });
                match end {
                    End::Done(_) => Ok(true),
                    End::Crashed => Err(Crashed),
                    End::Later | End::Refused => Ok(false),
                }
            }
        }
    }
}
