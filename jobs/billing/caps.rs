//! Amounts that are not billed before a person has seen them: whatever went wrong, it stops here.

use crate::money::major_text;

/// What parks an account instead of billing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// For one period, minor units. None: any amount.
    pub charge_max_minor: Option<i64>,
    /// So many times what earlier periods came to on the mean. None: any multiple.
    pub multiple_of_mean: Option<u32>,
    /// Of fewer there is no mean to speak of.
    pub earlier_periods_min: usize,
    /// Up to this, minor units, a multiple parks nothing: three times a few cents are a few cents.
    pub floor_minor: i64,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps {
            charge_max_minor: None,
            multiple_of_mean: Some(3),
            earlier_periods_min: 3,
            floor_minor: 5_000,
        }
    }
}

/// The cap that an amount is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    Amount {
        amount_minor: i64,
        max_minor: i64,
    },
    Multiple {
        amount_minor: i64,
        /// Rounded down; the comparison is exact.
        mean_minor: i64,
        multiple: u32,
        earlier_periods: usize,
    },
}

/// Whether a period's amount needs a person's approval. `earlier_periods` are the amounts of those before it
/// that count for the mean, in any order. An amount that is just at a cap is not above it.
pub fn exceeded(caps: &Caps, amount_minor: i64, earlier_periods: &[i64]) -> Option<Exceeded> {
    if let Some(max_minor) = caps.charge_max_minor.filter(|max| amount_minor > *max) {
        return Some(Exceeded::Amount {
            amount_minor,
            max_minor,
        });
    }
    let multiple = caps.multiple_of_mean?;
    let count = earlier_periods.len();
    if count < caps.earlier_periods_min || amount_minor <= caps.floor_minor {
        return None;
    }
    // Compared without dividing, so that no rounding decides.
    let periods = i128::try_from(count).ok()?;
    let sum: i128 = earlier_periods.iter().copied().map(i128::from).sum();
    let is_above = i128::from(amount_minor) * periods > sum * i128::from(multiple);
    is_above.then(|| Exceeded::Multiple {
        amount_minor,
        mean_minor: i64::try_from(sum.div_euclid(periods)).unwrap_or(i64::MAX),
        multiple,
        earlier_periods: count,
    })
}

impl Exceeded {
    /// As stored and as operators are told; never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Exceeded::Amount { .. } => "CHARGE_ABOVE_CAP",
            Exceeded::Multiple { .. } => "CHARGE_ABOVE_MEAN",
        }
    }

    /// For a person.
    pub fn reason(&self, currency: &str) -> String {
        let money = |minor| major_text(minor, currency);
        match *self {
            Exceeded::Amount {
                amount_minor,
                max_minor,
            } => format!(
                "{} {currency} is above the cap of {} for one period",
                money(amount_minor),
                money(max_minor)
            ),
            Exceeded::Multiple {
                amount_minor,
                mean_minor,
                multiple,
                earlier_periods,
            } => format!(
                "{} {currency} is more than {multiple} times the mean of {} over the {earlier_periods} periods before",
                money(amount_minor),
                money(mean_minor)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
