use proptest::prelude::*;

use super::*;

#[track_caller]
fn check_rounding(numerator: i128, denominator: i128, rounded: i64) {
    assert_eq!(
        round_half_up(numerator, denominator),
        Ok(rounded),
        "{numerator} / {denominator}"
    );
}

#[test]
fn halves_are_rounded_up_on_both_sides_of_zero() {
    for (numerator, rounded) in [
        (25, 3),
        (24, 2),
        (26, 3),
        (5, 1),
        (4, 0),
        (0, 0),
        (-4, 0),
        (-5, 0),
        (-6, -1),
        (-25, -2),
        (-26, -3),
    ] {
        check_rounding(numerator, 10, rounded);
    }
    check_rounding(1, 3, 0);
    check_rounding(2, 3, 1);
    check_rounding(3, 2, 2);
    check_rounding(7, 1, 7);
}

#[test]
fn what_fits_into_no_amount_is_an_error_and_no_panic() {
    let largest = i128::from(i64::MAX);
    let smallest = i128::from(i64::MIN);
    check_rounding(largest, 1, i64::MAX);
    check_rounding(smallest, 1, i64::MIN);
    check_rounding(largest * 2, 2, i64::MAX);
    check_rounding(largest * 10 + 4, 10, i64::MAX);
    check_rounding(smallest * 10 - 5, 10, i64::MIN);
    for (numerator, denominator) in [
        (largest + 1, 1),
        (smallest - 1, 1),
        (largest * 10 + 5, 10),
        (smallest * 10 - 6, 10),
        (i128::MAX, 1),
        (i128::MIN, 1),
    ] {
        assert_eq!(
            round_half_up(numerator, denominator),
            Err(MoneyError::Overflow),
            "{numerator} / {denominator}"
        );
    }
    check_rounding(i128::MAX, i128::MAX, 1);
    check_rounding(i128::MIN, i128::MAX, -1);
    for denominator in [0, -1, i128::MIN] {
        assert_eq!(
            round_half_up(1, denominator),
            Err(MoneyError::NoDenominator)
        );
    }
}

#[test]
fn the_largest_quantity_at_the_largest_rate_is_too_large_and_told_so() {
    let most = price(MicroUnits(i64::MAX), Rate(i64::MAX));
    assert_eq!(most.to_minor("usd"), Err(MoneyError::Overflow));
    assert_eq!(most.to_minor("kwd"), Err(MoneyError::Overflow));
    assert_eq!(
        most.plus(most).and_then(|sum| sum.plus(most)),
        Err(MoneyError::Overflow)
    );
}

#[test]
fn a_price_is_rounded_to_what_stripe_takes_of_the_currency() {
    for (units, rate, currency, minor) in [
        (1, 13_000, "usd", 1),
        (5, 13_000, "usd", 7),
        (2, 7_500, "usd", 2),
        (5, 13_000, "USD", 7),
        (3, 500_000, "jpy", 2),
        (5, 13_000, "kwd", 70),
        (1, 4_999, "kwd", 0),
        (1, 5_000, "kwd", 10),
        (3, 500_000, "isk", 200),
        (3, 500_000, "ugx", 200),
    ] {
        let exact = price(MicroUnits::of_units(units), Rate(rate));
        assert_eq!(
            exact.to_minor(currency),
            Ok(minor),
            "{units} at {rate} {currency}"
        );
    }
}

#[test]
fn currencies_have_the_decimals_that_stripe_gives_them() {
    for (currency, digits) in [
        ("usd", 2),
        ("eur", 2),
        ("jpy", 0),
        ("KRW", 0),
        ("xaf", 0),
        ("bhd", 3),
        ("tnd", 3),
        ("ugx", 2),
        ("isk", 2),
        ("a currency to come", 2),
    ] {
        assert_eq!(minor_digits(currency), digits, "{currency}");
    }
}

#[test]
fn amounts_and_rates_are_written_with_their_decimals() {
    for (minor, currency, text) in [
        (580, "usd", "5.80"),
        (0, "usd", "0.00"),
        (-5, "usd", "-0.05"),
        (-580, "usd", "-5.80"),
        (12_000, "usd", "120.00"),
        (580, "jpy", "580"),
        (-1, "jpy", "-1"),
        (0, "jpy", "0"),
        (1_230, "kwd", "1.230"),
        (i64::MIN, "usd", "-92233720368547758.08"),
    ] {
        assert_eq!(major_text(minor, currency), text);
    }
    for (rate, text) in [
        (13_000, "0.0130"),
        (7_500, "0.0075"),
        (125, "0.000125"),
        (120, "0.00012"),
        (1_000_000, "1.0000"),
        (0, "0.0000"),
        (2_500_001, "2.500001"),
        (-13_000, "-0.0130"),
    ] {
        assert_eq!(rate_text(Rate(rate)), text);
    }
}

proptest! {
    /// Told apart from the code by what "nearest, and up" means.
    #[test]
    fn nothing_is_nearer_and_of_equals_nothing_is_higher(
        numerator in -(1i128 << 62)..1i128 << 62,
        denominator in 1..i128::from(u32::MAX),
    ) {
        let rounded = i128::from(round_half_up(numerator, denominator)?);
        let error = rounded * denominator - numerator;
        prop_assert!(-denominator < error * 2 && error * 2 <= denominator);
    }

    #[test]
    fn a_larger_sum_is_never_rounded_to_less(a in any::<i64>(), b in any::<i64>(), of in 1i128..10_000) {
        let (less, more) = (a.min(b).into(), a.max(b).into());
        prop_assert!(round_half_up(less, of)? <= round_half_up(more, of)?);
    }

    #[test]
    fn a_written_amount_reads_back(minor in any::<i64>()) {
        let digits: String = major_text(minor, "usd").chars().filter(|one| *one != '.').collect();
        prop_assert_eq!(digits.parse(), Ok(minor));
    }
}
