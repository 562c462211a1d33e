//! Quantities of usage: whole numbers of millionths, so that nothing is ever rounded.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, Neg, Sub},
};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

const PLACES: usize = 6;
const ONE: i64 = 1_000_000;

/// A quantity in millionths of its feature's unit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MicroUnits(pub i64);

/// Why a number is no quantity of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("a quantity is greater than zero")]
    NotPositive,
    #[error("a quantity is at most 1000000000")]
    TooLarge,
    #[error("a quantity of this feature has at most {0} decimal places")]
    TooFine(u32),
}

impl MicroUnits {
    pub const ZERO: MicroUnits = MicroUnits(0);
    /// Of one report. Nine of them fit into a counter a thousand times over.
    pub const MAX: MicroUnits = MicroUnits(1_000_000_000 * ONE);

    /// So many whole units.
    pub fn of_units(units: u64) -> MicroUnits {
        MicroUnits(i64::try_from(units).map_or(i64::MAX, |units| units.saturating_mul(ONE)))
    }

    /// How many whole units fit into it; none into less than nothing.
    pub fn whole(self) -> u32 {
        u32::try_from(self.0.max(0) / ONE).unwrap_or(u32::MAX)
    }

    /// A reported quantity with at most `decimals` places. A number of JSON is read from its shortest
    /// decimal form: 0.1 is a tenth, although no binary fraction is.
    pub fn read(number: &Number, decimals: u32) -> Result<MicroUnits, QuantityError> {
        if let Some(units) = number.as_u64() {
            let quantity = MicroUnits::of_units(units);
            return match quantity {
                MicroUnits::ZERO => Err(QuantityError::NotPositive),
                quantity if quantity > MicroUnits::MAX => Err(QuantityError::TooLarge),
                quantity => Ok(quantity),
            };
        }
        let number = number.as_f64().unwrap_or(f64::INFINITY);
        if number <= 0.0 {
            return Err(QuantityError::NotPositive);
        }
        if number > (MicroUnits::MAX.0 / ONE) as f64 {
            return Err(QuantityError::TooLarge);
        }
        let text = number.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > (decimals as usize).min(PLACES) {
            return Err(QuantityError::TooFine(decimals));
        }
        let digits = format!("{whole}{fraction:0<PLACES$}");
        digits
            .parse()
            .map(MicroUnits)
            .map_err(|_| QuantityError::TooLarge)
    }

    /// A decimal number as providers write it, at least zero. What is finer than a millionth is left out. None: it is
    /// no such number.
    pub fn of_decimal(text: &str) -> Option<MicroUnits> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(decimals) {
            return None;
        }
        let decimals: String = decimals.chars().take(PLACES).collect();
        let digits = format!("{whole}{decimals:0<PLACES$}");
        digits.parse().ok().map(MicroUnits)
    }

    /// As a number of JSON: whole where it is whole.
    pub fn to_json(self) -> Value {
        match self.0 % ONE {
            0 => Value::from(self.0 / ONE),
            _ => Value::from(self.0 as f64 / ONE as f64),
        }
    }

    pub fn at_least_zero(self) -> MicroUnits {
        self.max(MicroUnits::ZERO)
    }

    /// This much of `whole` in per cent, rounded half up; 0 of nothing.
    pub fn percent_of(self, whole: MicroUnits) -> i64 {
        if whole.0 <= 0 {
            return 0;
        }
        let (part, whole) = (i128::from(self.0), i128::from(whole.0));
        let percent = (part * 200 + whole).div_euclid(whole * 2);
        i64::try_from(percent).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for MicroUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

impl Add for MicroUnits {
    type Output = MicroUnits;

    fn add(self, other: MicroUnits) -> MicroUnits {
        MicroUnits(self.0.saturating_add(other.0))
    }
}

impl Sub for MicroUnits {
    type Output = MicroUnits;

    fn sub(self, other: MicroUnits) -> MicroUnits {
        MicroUnits(self.0.saturating_sub(other.0))
    }
}

impl Neg for MicroUnits {
    type Output = MicroUnits;

    fn neg(self) -> MicroUnits {
        MicroUnits(-self.0)
    }
}

impl Sum for MicroUnits {
    fn sum<I: Iterator<Item = MicroUnits>>(all: I) -> MicroUnits {
        all.fold(MicroUnits::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str, decimals: u32) -> Result<i64, QuantityError> {
        let number: Number = serde_json::from_str(json).unwrap();
        MicroUnits::read(&number, decimals).map(|quantity| quantity.0)
    }

    #[test]
    fn a_quantity_is_read_without_rounding() {
        for (json, micros) in [
            ("1", 1_000_000),
            ("0.1", 100_000),
            ("0.000001", 1),
            ("1e-6", 1),
            ("2.50", 2_500_000),
            ("1.0", 1_000_000),
            ("1e3", 1_000_000_000),
            ("123456789.123456", 123_456_789_123_456),
            ("1000000000", 1_000_000_000_000_000),
        ] {
            assert_eq!(read(json, 6), Ok(micros), "{json}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_reason() {
        for (json, decimals, error) in [
            ("0", 6, QuantityError::NotPositive),
            ("-1", 6, QuantityError::NotPositive),
            ("-0.5", 6, QuantityError::NotPositive),
            ("0.0000001", 6, QuantityError::TooFine(6)),
            ("1.5", 0, QuantityError::TooFine(0)),
            ("1000000001", 6, QuantityError::TooLarge),
            ("1e300", 6, QuantityError::TooLarge),
            ("18446744073709551615", 6, QuantityError::TooLarge),
        ] {
            assert_eq!(read(json, decimals), Err(error), "{json}");
        }
    }

    #[test]
    fn per_cent_are_rounded_half_up() {
        for (part, whole, percent) in [
            (8, 10, 80),
            (1, 3, 33),
            (2, 3, 67),
            (1, 200, 1),
            (150, 100, 150),
            (5, 0, 0),
        ] {
            let found = MicroUnits::of_units(part).percent_of(MicroUnits::of_units(whole));
            assert_eq!(found, percent, "{part} of {whole}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in 1..=MicroUnits::MAX.0) {
            let Value::Number(number) = MicroUnits(micros).to_json() else { panic!("a number") };
            prop_assert_eq!(MicroUnits::read(&number, 6), Ok(MicroUnits(micros)));
        }
    }
}
