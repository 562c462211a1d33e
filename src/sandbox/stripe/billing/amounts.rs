//! Amounts as clients write them: whole minor units, or a decimal price times a quantity.

use super::super::errors;
use crate::sandbox::wire::{Params, Reply};

/// Stripe's bound: eight digits.
const AMOUNT_MAX: i64 = 99_999_999;
const DECIMALS_MAX: usize = 12;
const SCALE: i128 = 1_000_000_000_000;

/// A whole number that may be there.
pub(super) fn integer(params: &Params, name: &str) -> Result<Option<i64>, Reply> {
    let number = params.get(name).map(str::parse).transpose();
    number.map_err(|_| errors::invalid_integer(name))
}

/// Within Stripe's bounds.
pub(super) fn bounded(amount: i64, name: &str) -> Result<i64, Reply> {
    if (-AMOUNT_MAX..=AMOUNT_MAX).contains(&amount) {
        Ok(amount)
    } else {
        Err(errors::amount_too_large(name))
    }
}

/// Three small letters, as Stripe writes them; capitals are taken too.
pub(super) fn currency(params: &Params) -> Result<Option<String>, Reply> {
    let Some(currency) = params.get("currency") else {
        return Ok(None);
    };
    let currency = currency.to_ascii_lowercase();
    if currency.len() == 3 && currency.bytes().all(|letter| letter.is_ascii_lowercase()) {
        Ok(Some(currency))
    } else {
        let message = "Invalid currency: three letters are expected, `usd` for example";
        Err(errors::invalid_parameter("currency", message))
    }
}

/// A decimal price in minor units times a quantity, rounded half up on the line; the half of a
/// negative one goes away from zero, which Stripe does not document.
pub(super) fn times(decimal: &str, quantity: i64) -> Option<i64> {
    let exact = scaled(decimal)?.checked_mul(i128::from(quantity))?;
    let whole = (exact.abs() + SCALE / 2) / SCALE;
    i64::try_from(whole * exact.signum()).ok()
}

/// In units of 10⁻¹²; none when it is no decimal of at most so many places.
fn scaled(decimal: &str) -> Option<i128> {
    let (sign, digits) = match decimal.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, decimal),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 15
        || fraction.len() > DECIMALS_MAX
        || !is_number(whole)
        || !is_number(fraction)
    {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<DECIMALS_MAX$}").parse().ok()?;
    Some(sign * (whole.parse::<i128>().ok()? * SCALE + fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_rounded_once_and_half_up() {
        for (decimal, quantity, amount) in [
            ("0.05", 30, Some(2)),
            ("0.5", 12, Some(6)),
            ("0.79", 3, Some(2)),
            ("0.049", 30, Some(1)),
            ("-0.05", 30, Some(-2)),
            ("2900", 1, Some(2900)),
            ("0.000000000001", 500_000_000_000, Some(1)),
            ("0.0000000000001", 1, None),
            ("1e3", 1, None),
            ("", 1, None),
            (".5", 1, None),
        ] {
            assert_eq!(times(decimal, quantity), amount, "{decimal} × {quantity}");
        }
    }
}
