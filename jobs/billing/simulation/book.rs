//! What our database would hold of the account.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::stripe::Effect;
use crate::{
    billing::{Last, Revision, periods::Period},
    outside::Row,
    usage::MicroUnits,
};

#[derive(Debug, Default)]
pub struct Book {
    /// In the order in which it came.
    pub usage: Vec<Event>,
    /// The natural keys of what was stored.
    pub seen: BTreeSet<usize>,
    pub periods: Vec<PeriodRow>,
    pub charges: Vec<Charge>,
    pub invoices: Vec<InvoiceRow>,
    pub calls: BTreeMap<Effect, Call>,
    /// Events before this one are not counted any more; only a fault moves it.
    pub counted_from: usize,
    /// A person has to look.
    pub is_parked: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub meter: &'static str,
    pub quantity: MicroUnits,
    pub occurred_at: DateTime<Utc>,
}

#[derive(Debug)]
pub struct PeriodRow {
    pub period: Period,
    pub is_closed: bool,
    /// Something was used in it that it was not rated with.
    pub is_stale: bool,
}

#[derive(Debug)]
pub struct Charge {
    pub period: usize,
    pub revision: Revision,
    pub is_late: bool,
    /// Of ours, by its place. None: on none yet.
    pub on: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A renewal's draft, which is there; its place at Stripe.
    Renewal(usize),
    /// To be made.
    Own,
}

#[derive(Debug)]
pub struct InvoiceRow {
    pub target: Target,
    /// Compared, and final at Stripe.
    pub is_finished: bool,
}

/// The journal's row of one effect.
#[derive(Debug)]
pub struct Call {
    pub row: Row,
    /// Of the last request; who comes with an older one writes no failure.
    pub attempt: u32,
}

impl Book {
    pub fn last(&self, period: usize, meter: &str, subject: &str) -> Option<Last> {
        let mut newest_first = self.charges.iter().rev();
        let charge = newest_first.find(|charge| {
            let one = &charge.revision;
            charge.period == period && one.meter == meter && one.subject == subject
        })?;
        Some(charge.revision.as_last())
    }

    /// The charges that are on no invoice.
    pub fn owed(&self) -> impl Iterator<Item = usize> {
        let places = self.charges.iter().enumerate();
        places
            .filter(|(_, charge)| charge.on.is_none())
            .map(|(place, _)| place)
    }

    /// The charges that should be on an invoice.
    pub fn on(&self, invoice: usize) -> Vec<usize> {
        let places = self.charges.iter().enumerate();
        let on_it = places.filter(|(_, charge)| charge.on == Some(invoice));
        on_it.map(|(place, _)| place).collect()
    }

    pub fn call(&mut self, effect: Effect) -> &mut Call {
        self.calls.entry(effect).or_insert_with(|| Call {
            row: Row::planned(),
            attempt: 0,
        })
    }

    /// Stripe's id of what an effect made.
    pub fn ext_ref(&self, effect: Effect) -> String {
        let call = self.calls.get(&effect);
        let ext_ref = call.and_then(|call| call.row.ext_ref.clone());
        ext_ref.unwrap_or_default()
    }
}
