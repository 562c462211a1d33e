//! What a whole period costs: usage in, amounts out.

use std::collections::{BTreeMap, BTreeSet};

use super::terms::{Step, Terms};
use crate::{
    money::{Exact, MoneyError, price},
    plans::Quantity,
    usage::MicroUnits,
};

/// The meter of phone numbers on a bill. No feature is called so.
pub const NUMBER: &str = "number";

/// What was used in a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Used {
    /// The sum of the period's events, reversals taken off, by meter.
    pub meters: BTreeMap<String, MicroUnits>,
    /// The ids of the numbers held in the period, however shortly.
    pub numbers: Vec<String>,
}

/// What one thing costs for the whole period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated {
    /// A feature's id, or [`NUMBER`].
    pub meter: String,
    /// The number's id; empty for everything else.
    pub subject: String,
    pub quantity: MicroUnits,
    /// How much of it was not included.
    pub beyond: MicroUnits,
    pub amount_minor: i64,
}

/// The price of a period: an entry for each meter that has terms or usage and one for each number,
/// by name. What costs nothing is there with an amount of 0.
///
/// Each entry is rounded once, on the whole period. Reversals can take back no more than was used.
pub fn rate(terms: &Terms, used: &Used) -> Result<Vec<Rated>, MoneyError> {
    let meters: BTreeSet<&String> = terms.meters.keys().chain(used.meters.keys()).collect();
    let numbers: BTreeSet<&String> = used.numbers.iter().collect();
    let of_meters = meters.into_iter().map(|meter| {
        let quantity = used.meters.get(meter).copied().unwrap_or_default();
        rate_meter(terms, meter, quantity.at_least_zero())
    });
    let of_numbers = numbers.into_iter().map(|id| Ok(rate_number(terms, id)));
    let mut all = of_meters.chain(of_numbers).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|a, b| (&a.meter, &a.subject).cmp(&(&b.meter, &b.subject)));
    Ok(all)
}

fn rate_meter(terms: &Terms, name: &str, quantity: MicroUnits) -> Result<Rated, MoneyError> {
    let meter = terms.meter(name);
    let beyond = match meter.included {
        Quantity::Unlimited => MicroUnits::ZERO,
        Quantity::Units(units) => (quantity - MicroUnits::of_units(units)).at_least_zero(),
    };
    Ok(Rated {
        meter: name.to_owned(),
        subject: String::new(),
        quantity,
        beyond,
        amount_minor: graduated(&meter.rates, beyond)?.to_minor(&terms.currency)?,
    })
}

/// The price of units beyond the included ones, each at the rate of the step it falls into. A unit
/// that no step reaches costs nothing.
fn graduated(steps: &[Step], beyond: MicroUnits) -> Result<Exact, MoneyError> {
    let mut total = Exact::ZERO;
    let mut priced = MicroUnits::ZERO;
    for step in steps {
        let end = step.up_to.map_or(beyond, MicroUnits::of_units).min(beyond);
        let part = (end - priced).at_least_zero();
        total = total.plus(price(part, step.rate))?;
        priced = priced.max(end);
    }
    Ok(total)
}

fn rate_number(terms: &Terms, id: &str) -> Rated {
    let one = MicroUnits::of_units(1);
    Rated {
        meter: NUMBER.to_owned(),
        subject: id.to_owned(),
        quantity: one,
        beyond: one,
        amount_minor: terms.number_fee_minor,
    }
}

#[cfg(test)]
mod tests;
