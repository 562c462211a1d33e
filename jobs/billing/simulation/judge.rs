//! What is wrong with a history once it has come to its end.

use std::collections::{BTreeMap, BTreeSet};

use super::{History, book::Target, oracle::Item};

/// Less than this may wait for an invoice that never comes, and so may a credit.
const TRIFLE_MINOR: i64 = 50;

impl History {
    pub fn verdict(&self) -> Result<(), String> {
        self.charges_are_right()?;
        let billed = self.invoices_are_right()?;
        let owed = self.what_waits_is_a_trifle()?;
        let all: i64 = self.script.comes_to(self.now).values().sum();
        if billed + owed != all {
            return Err(format!("{billed} billed and {owed} owed are not {all}"));
        }
        if self.is_doubled {
            return Err("a worker met an effect twice".to_owned());
        }
        if self.stripe.has_forgotten {
            return Err("a key was used again after a day".to_owned());
        }
        if self.book.is_parked {
            return Err("the account is parked, and nobody did anything wrong".to_owned());
        }
        Ok(())
    }

    /// Each period is charged what it comes to.
    fn charges_are_right(&self) -> Result<(), String> {
        let mut charged: BTreeMap<Item, i64> = BTreeMap::new();
        for charge in &self.book.charges {
            let starts_at = self.book.periods[charge.period].period.span.starts_at;
            let item = (starts_at, charge.revision.meter.clone());
            *charged.entry(item).or_default() += charge.revision.amount_minor;
        }
        charged.retain(|_, amount| *amount != 0);
        let expected = self.script.comes_to(self.now);
        match charged == expected {
            true => Ok(()),
            false => Err(format!("charged {charged:?}, and it is {expected:?}")),
        }
    }

    /// Each charge that is on an invoice stands on a final one, once, with its amount, and nothing else of ours
    /// does. What they come to.
    fn invoices_are_right(&self) -> Result<i64, String> {
        let mut billed = 0;
        let mut seen = BTreeSet::new();
        for item in self.stripe.items.iter().filter(|item| !item.is_deleted) {
            let charge = &self.book.charges[item.charge];
            if !seen.insert(item.charge) {
                return Err(format!("charge {} stands twice", item.charge));
            }
            if charge.revision.amount_minor != item.amount_minor || charge.on.is_none() {
                return Err(format!("{item:?} is not {charge:?}"));
            }
            if self.stripe.is_draft(item.on, self.now) {
                return Err(format!("{item:?} stands on a draft"));
            }
            billed += item.amount_minor;
        }
        for (place, charge) in self.book.charges.iter().enumerate() {
            if charge.on.is_some() && !seen.contains(&place) {
                return Err(format!("charge {place} is lost: {charge:?}"));
            }
        }
        let ours = self.stripe.invoices.iter().filter(|one| one.ours.is_some());
        let wanted = self
            .book
            .invoices
            .iter()
            .filter(|one| one.target == Target::Own);
        match (ours.count(), wanted.count()) {
            (made, wanted) if made != wanted => Err(format!("{made} invoices instead of {wanted}")),
            _ => Ok(billed),
        }
    }

    fn what_waits_is_a_trifle(&self) -> Result<i64, String> {
        if let Some(open) = self.book.invoices.iter().find(|one| !one.is_finished) {
            return Err(format!("never finished: {open:?}"));
        }
        let charges = self.book.owed().map(|place| &self.book.charges[place]);
        let (mut sum, mut all_late) = (0, true);
        for charge in charges {
            sum += charge.revision.amount_minor;
            all_late &= charge.is_late;
        }
        let is_trifle = sum <= 0 || (all_late && sum < TRIFLE_MINOR);
        match is_trifle {
            true => Ok(sum),
            false => Err(format!("{sum} is on no invoice")),
        }
    }
}
