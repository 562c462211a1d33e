//! The way of a charge onto an invoice: where it goes, its line, the comparison, and the end.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    History,
    book::{InvoiceRow, Target},
    calls::End,
    faults::Fault,
    script::Renewal,
    stripe::{Effect, Request},
    worker::Crashed,
};
use crate::{
    billing::{
        matching::{Line, Wanted, compare},
        placement::{self, Draft, Owed, Place},
    },
    compare_invoice,
};

const CURRENCY: &str = "usd";

impl History {
    /// Whether the draft of a renewal is waited for.
    pub fn place_charges(&mut self) -> bool {
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
            period_ends_at: Some(renewal.at),
            uncollected: None,
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
    pub fn work_on(&mut self, ours: usize) -> Result<bool, Crashed> {
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
