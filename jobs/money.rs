//! Money in whole numbers: rates in millionths, amounts in minor units, and the one place where a
//! product of the two is rounded.

use crate::usage::MicroUnits;

/// What one unit of usage costs: so many millionths of the currency's major unit (13000: $0.013).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Rate(pub i64);

/// Why there is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("the amount is larger than an amount can be")]
    Overflow,
    #[error("an amount is divided by no number above zero")]
    NoDenominator,
}

impl MoneyError {
    /// As apps and operators are told; never changes.
    pub fn code(self) -> &'static str {
        match self {
            MoneyError::Overflow => "AMOUNT_TOO_LARGE",
            MoneyError::NoDenominator => "NO_DENOMINATOR",
        }
    }
}

/// `10^-12` of the major unit: a quantity in millionths times a rate in millionths.
const EXACT_DIGITS: u32 = 12;

/// A sum of products of quantity and rate that nothing was rounded of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Exact(i128);

impl Exact {
    pub const ZERO: Exact = Exact(0);

    pub fn plus(self, other: Exact) -> Result<Exact, MoneyError> {
        let sum = self.0.checked_add(other.0);
        sum.map(Exact).ok_or(MoneyError::Overflow)
    }

    /// In minor units of the currency, rounded half up to what Stripe takes as an amount of it.
    pub fn to_minor(self, currency: &str) -> Result<i64, MoneyError> {
        let (digits, step) = minor(currency);
        let exact_per_step = 10i128.pow(EXACT_DIGITS - digits) * i128::from(step);
        round_half_up(self.0, exact_per_step)?
            .checked_mul(step)
            .ok_or(MoneyError::Overflow)
    }
}

/// What so much costs at this rate, exactly.
pub fn price(quantity: MicroUnits, rate: Rate) -> Exact {
    // Two numbers of 64 bits always fit into one of 128.
    Exact(i128::from(quantity.0) * i128::from(rate.0))
}

/// The whole number nearest to `numerator / denominator`; of two that are as near the upper one,
/// also below zero: 2.5 is 3, -2.5 is -2. It is the only rounding of money here.
///
/// So a sum and its reversal may differ by one. That is why a correction is the difference of two
/// rounded sums, and never rounded itself.
pub fn round_half_up(numerator: i128, denominator: i128) -> Result<i64, MoneyError> {
    if denominator <= 0 {
        return Err(MoneyError::NoDenominator);
    }
    let below = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    // `rest * 2 >= denominator`, without a product that could be too large.
    let is_half_or_more = rest >= denominator - rest;
    i64::try_from(below + i128::from(is_half_or_more)).map_err(|_| MoneyError::Overflow)
}

/// How many decimal places of the major unit a minor unit is; 2 where the currency is not listed.
pub fn minor_digits(currency: &str) -> u32 {
    minor(currency).0
}

/// Decimal places of the minor unit, and the step in which Stripe takes amounts
/// (docs.stripe.com/currencies): of three decimals the last must be 0. ISK and UGX have no decimals
/// any more, but are still written with two, which must be 00.
fn minor(currency: &str) -> (u32, i64) {
    match currency.to_ascii_lowercase().as_str() {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd"
        | "vuv" | "xaf" | "xof" | "xpf" => (0, 1),
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => (3, 10),
        "isk" | "ugx" => (2, 100),
        _ => (2, 1),
    }
}

/// An amount in the major unit, with all decimals of the currency: "5.80", "-0.05", "580" of yen.
pub fn major_text(amount_minor: i64, currency: &str) -> String {
    decimal_text(amount_minor, minor_digits(currency) as usize)
}

/// A rate in the major unit, with four decimals at least and all that it has: "0.0130", "0.000125".
pub fn rate_text(rate: Rate) -> String {
    const DECIMALS: usize = 6;
    const DECIMALS_MIN: usize = 4;
    let text = decimal_text(rate.0, DECIMALS);
    let needed = text.trim_end_matches('0').len();
    let shortest = text.len() - (DECIMALS - DECIMALS_MIN);
    text[..needed.max(shortest)].to_owned()
}

/// A whole number of 10^-decimals, written out.
fn decimal_text(number: i64, decimals: usize) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let width = decimals + 1;
    let digits = format!("{:0>width$}", number.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests;
