use proptest::prelude::*;

use super::*;

const CAPS: Caps = Caps {
    charge_max_minor: Some(100_000),
    multiple_of_mean: Some(3),
    earlier_periods_min: 3,
    floor_minor: 5_000,
};

#[track_caller]
fn check(caps: Caps, amount: i64, earlier: &[i64], code: Option<&str>) {
    let found = exceeded(&caps, amount, earlier);
    let found = found.as_ref().map(Exceeded::code);
    assert_eq!(found, code, "{amount} after {earlier:?}");
}

#[test]
fn an_amount_above_the_cap_waits_for_a_person() {
    check(CAPS, 100_000, &[], None);
    check(CAPS, 100_001, &[], Some("CHARGE_ABOVE_CAP"));
    check(CAPS, i64::MAX, &[], Some("CHARGE_ABOVE_CAP"));
    let no_cap = Caps {
        charge_max_minor: None,
        ..CAPS
    };
    check(no_cap, i64::MAX, &[], None);
}

#[test]
fn an_amount_far_above_the_mean_waits_for_a_person() {
    let earlier = [4_000, 4_000, 4_001];
    check(CAPS, 12_001, &earlier, None);
    check(CAPS, 12_002, &earlier, Some("CHARGE_ABOVE_MEAN"));
    check(CAPS, 5_001, &[0, 0, 0], Some("CHARGE_ABOVE_MEAN"));
    let no_multiple = Caps {
        multiple_of_mean: None,
        ..CAPS
    };
    check(no_multiple, 99_999, &earlier, None);
}

#[test]
fn without_a_history_there_is_no_mean() {
    check(CAPS, 99_999, &[], None);
    check(CAPS, 99_999, &[1, 1], None);
    check(CAPS, 99_999, &[1, 1, 1], Some("CHARGE_ABOVE_MEAN"));
    let of_nothing = Caps {
        earlier_periods_min: 0,
        ..CAPS
    };
    check(of_nothing, 99_999, &[], None);
}

#[test]
fn a_few_cents_never_wait() {
    check(CAPS, 5_000, &[1, 1, 1], None);
    check(CAPS, -5_000, &[1, 1, 1], None);
}

#[test]
fn the_reason_can_be_read() {
    let reason = |amount, earlier: &[i64]| {
        let exceeded = exceeded(&CAPS, amount, earlier).unwrap();
        exceeded.reason("usd")
    };
    assert_eq!(
        reason(123_456, &[]),
        "1234.56 usd is above the cap of 1000.00 for one period"
    );
    assert_eq!(
        reason(12_002, &[4_000, 4_000, 4_001]),
        "120.02 usd is more than 3 times the mean of 40.00 over the 3 periods before"
    );
}

proptest! {
    #[test]
    fn what_is_at_most_the_mean_times_the_multiple_is_billed(
        earlier in prop::collection::vec(0..1_000_000i64, 3..24),
        share in 0..=100i64,
    ) {
        let open = Caps { charge_max_minor: None, ..CAPS };
        let sum: i64 = earlier.iter().sum();
        let most = sum * 3 / i64::try_from(earlier.len())?;
        prop_assert_eq!(exceeded(&open, most * share / 100, &earlier), None);
        let more = (most + 1).max(CAPS.floor_minor + 1);
        prop_assert!(exceeded(&open, more, &earlier).is_some());
    }
}
