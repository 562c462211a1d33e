//! The numbers of a period so far, as its customer is shown them. They come from the function that bills, so a
//! preview is what the bill will be.

use std::collections::BTreeMap;

use super::{
    rating::{NUMBER, Used, rate},
    terms::Terms,
};
use crate::{money::MoneyError, plans::Quantity, usage::MicroUnits};

#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// ISO 4217, lower case.
    pub currency: String,
    /// By meter; each has an entry that has terms or usage.
    pub meters: BTreeMap<String, MeterStatement>,
    /// For all numbers together, minor units.
    pub numbers_cost_minor: i64,
    /// Of all meters and numbers.
    pub total_minor: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeterStatement {
    pub used: MicroUnits,
    /// Units that cost nothing more.
    pub limit: Quantity,
    /// Zero where there is no limit.
    pub overage: MicroUnits,
    pub cost_minor: i64,
    /// Of the limit, unrounded, also above 100; 0 where there is no limit or nothing is included.
    pub percentage: f64,
}

impl Statement {
    pub fn of(terms: &Terms, used: &Used) -> Result<Statement, MoneyError> {
        let mut statement = Statement {
            currency: terms.currency.clone(),
            meters: BTreeMap::new(),
            numbers_cost_minor: 0,
            total_minor: 0,
        };
        for rated in rate(terms, used)? {
            statement.total_minor = sum(statement.total_minor, rated.amount_minor)?;
            if rated.meter == NUMBER {
                statement.numbers_cost_minor =
                    sum(statement.numbers_cost_minor, rated.amount_minor)?;
                continue;
            }
            let limit = terms.meter(&rated.meter).included;
            let meter = MeterStatement {
                used: rated.quantity,
                limit,
                overage: rated.beyond,
                cost_minor: rated.amount_minor,
                percentage: percentage(rated.quantity, limit),
            };
            statement.meters.insert(rated.meter, meter);
        }
        Ok(statement)
    }

    /// Of what no plan held knows and nobody used, there is nothing.
    pub fn meter(&self, name: &str) -> MeterStatement {
        let nothing = MeterStatement {
            used: MicroUnits::ZERO,
            limit: Quantity::Units(0),
            overage: MicroUnits::ZERO,
            cost_minor: 0,
            percentage: 0.0,
        };
        self.meters.get(name).copied().unwrap_or(nothing)
    }
}

fn sum(a: i64, b: i64) -> Result<i64, MoneyError> {
    a.checked_add(b).ok_or(MoneyError::Overflow)
}

fn percentage(used: MicroUnits, limit: Quantity) -> f64 {
    match limit {
        Quantity::Unlimited | Quantity::Units(0) => 0.0,
        Quantity::Units(units) => used.0 as f64 / (units as f64 * 1e6) * 100.0,
    }
}

#[cfg(test)]
mod tests;
