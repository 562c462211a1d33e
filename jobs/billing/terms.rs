//! What a period is billed by: a copy of the plan, kept with the period. What is sold later under the
//! same name changes no period that began before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use crate::plans::Step;
use crate::plans::{Quantity, Tier};

/// Stored as JSON in the period's row. What is there must always parse, and what a later version
/// adds to it must not keep an older one from reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The tier held last.
    pub tier: String,
    /// ISO 4217, lower case. A period has one.
    pub currency: String,
    /// What is counted, by its feature's id.
    pub meters: BTreeMap<String, Meter>,
    /// For each number held in the period, minor units.
    #[serde(default)]
    pub number_fee_minor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// Units that cost nothing more.
    pub included: Quantity,
    /// Of the units beyond, from the first one on. None: what is beyond costs nothing.
    #[serde(default)]
    pub rates: Vec<Step>,
}

/// Of what the plans held do not know.
static NO_METER: Meter = Meter {
    included: Quantity::Units(0),
    rates: Vec::new(),
};

impl Terms {
    pub fn of(tier: &Tier, currency: &str) -> Terms {
        let meters = tier.included.iter().map(|(meter, included)| {
            let rates = tier.overage.get(meter).cloned().unwrap_or_default();
            let included = *included;
            (meter.clone(), Meter { included, rates })
        });
        Terms {
            tier: tier.id.clone(),
            currency: currency.to_owned(),
            meters: meters.collect(),
            number_fee_minor: tier.number_fee_minor,
        }
    }

    /// The terms of a meter; of one that no plan held knows, nothing is included and nothing costs.
    pub fn meter(&self, name: &str) -> &Meter {
        self.meters.get(name).unwrap_or(&NO_METER)
    }

    /// The terms of a period in which the plan was changed to `next`.
    ///
    /// The largest allowance held is the period's, so that nobody pays for what was included when it
    /// was used. The rate and the fee for a number are the last ones there were: a plan without them
    /// does not make free what was used before it, or whoever changes down on the last day would
    /// have had the whole period for nothing.
    ///
    /// A period has one currency. Prices in another are none of its prices; only allowances count.
    pub fn changed_to(&self, next: &Terms) -> Terms {
        let is_one_currency = self.currency == next.currency;
        let names: BTreeSet<&String> = self.meters.keys().chain(next.meters.keys()).collect();
        let meters = names.into_iter().map(|name| {
            let before = self.meter(name);
            let after = next.meter(name);
            let has_new_rates = is_one_currency && !after.rates.is_empty();
            let meter = Meter {
                included: before.included.max(after.included),
                rates: if has_new_rates { after } else { before }.rates.clone(),
            };
            (name.clone(), meter)
        });
        let has_new_fee = is_one_currency && next.number_fee_minor != 0;
        Terms {
            tier: next.tier.clone(),
            currency: self.currency.clone(),
            meters: meters.collect(),
            number_fee_minor: if has_new_fee { next } else { self }.number_fee_minor,
        }
    }
}

#[cfg(test)]
mod tests;
