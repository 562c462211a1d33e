use proptest::prelude::*;

use super::*;
use crate::{
    billing::{Meter, arbitrary},
    money::Rate,
    plans::{BUILT_IN, Catalogue},
};

fn of(tier: &str) -> Terms {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    Terms::of(catalogue.tier(tier).unwrap(), "usd")
}

fn used(minutes: u64, messages: u64, numbers: &[&str]) -> Used {
    let units = MicroUnits::of_units;
    Used {
        meters: BTreeMap::from([
            ("sms".to_owned(), units(messages)),
            ("voice_minutes".to_owned(), units(minutes)),
        ]),
        numbers: numbers.iter().map(|id| id.to_string()).collect(),
    }
}

/// Amounts by name.
#[track_caller]
fn check(tier: &str, used: &Used, expected: &[(&str, i64)]) {
    let rated = rate(&of(tier), used).unwrap();
    let found: Vec<_> = rated
        .iter()
        .map(|one| (one.meter.as_str(), one.amount_minor))
        .collect();
    assert_eq!(found, expected, "{tier} {used:?}");
}

#[test]
fn the_examples_of_the_contract_cost_what_they_say() {
    let secretary = "ai_secretary";
    check(
        secretary,
        &used(150, 120, &["PN1"]),
        &[("number", 500), ("sms", 15), ("voice_minutes", 65)],
    );
    check(
        secretary,
        &used(101, 100, &[]),
        &[("sms", 0), ("voice_minutes", 1)],
    );
    check(
        secretary,
        &used(105, 102, &[]),
        &[("sms", 2), ("voice_minutes", 7)],
    );
    check(
        "ai_cto",
        &used(1_000_000, 1_000_000, &["PN1"]),
        &[("number", 500), ("sms", 0), ("voice_minutes", 0)],
    );
}

#[test]
fn the_last_included_unit_is_free_and_the_first_one_beyond_is_not() {
    let terms = of("ai_secretary");
    for (micros, beyond, amount) in [
        (0, 0, 0),
        (99_999_999, 0, 0),
        (100_000_000, 0, 0),
        (100_000_001, 1, 0),
        (100_384_615, 384_615, 0),
        (100_384_616, 384_616, 1),
        (101_000_000, 1_000_000, 1),
    ] {
        let used = Used {
            meters: BTreeMap::from([("voice_minutes".to_owned(), MicroUnits(micros))]),
            ..Used::default()
        };
        let rated = rate(&terms, &used).unwrap();
        let voice = rated.last().unwrap();
        assert_eq!(
            (voice.quantity, voice.beyond, voice.amount_minor),
            (MicroUnits(micros), MicroUnits(beyond), amount)
        );
    }
}

#[test]
fn each_number_costs_its_fee_once() {
    let numbers = ["PN2", "PN1", "PN2"];
    let rated = rate(&of("ai_secretary"), &used(0, 0, &numbers)).unwrap();
    let found: Vec<_> = rated
        .iter()
        .filter(|one| one.meter == NUMBER)
        .map(|one| (one.subject.as_str(), one.amount_minor))
        .collect();
    assert_eq!(found, [("PN1", 500), ("PN2", 500)]);
}

#[test]
fn more_taken_back_than_used_is_nothing_used() {
    let net_below_zero = Used {
        meters: BTreeMap::from([("sms".to_owned(), MicroUnits(i64::MIN))]),
        ..Used::default()
    };
    let rated = rate(&of("ai_secretary"), &net_below_zero).unwrap();
    assert_eq!(rated[0].quantity, MicroUnits::ZERO);
    assert_eq!(rated[0].amount_minor, 0);
}

#[test]
fn what_no_plan_held_knows_is_listed_and_costs_nothing() {
    check(
        "free",
        &used(10, 7, &["PN1"]),
        &[("number", 0), ("sms", 0), ("voice_minutes", 0)],
    );
}

fn one_meter(included: u64, rates: Vec<Step>, quantity: MicroUnits) -> (Terms, Used) {
    let included = Quantity::Units(included);
    let name = "voice_minutes".to_owned();
    let terms = Terms {
        meters: BTreeMap::from([(name.clone(), Meter { included, rates })]),
        ..of("free")
    };
    let used = Used {
        meters: BTreeMap::from([(name, quantity)]),
        ..Used::default()
    };
    (terms, used)
}

fn amount(included: u64, rates: &[Step], quantity: MicroUnits) -> Result<i64, MoneyError> {
    let (terms, used) = one_meter(included, rates.to_vec(), quantity);
    Ok(rate(&terms, &used)?[0].amount_minor)
}

#[test]
fn a_step_is_for_its_own_units_only() {
    let up_to_ten = Step {
        up_to: Some(10),
        rate: Rate(100_000),
    };
    let rates = [up_to_ten, Step::flat(20_000)];
    for (units, minor) in [(0, 0), (5, 0), (6, 10), (15, 100), (16, 102), (25, 120)] {
        assert_eq!(
            amount(5, &rates, MicroUnits::of_units(units)),
            Ok(minor),
            "{units}"
        );
    }
}

/// The catalogue has none such; what is stored is not asked.
#[test]
fn steps_out_of_order_bill_no_unit_twice() {
    let step = |up_to, rate| Step {
        up_to,
        rate: Rate(rate),
    };
    let rates = [
        step(Some(10), 100_000),
        step(Some(5), 90_000),
        step(None, 20_000),
    ];
    assert_eq!(amount(0, &rates, MicroUnits::of_units(12)), Ok(104));
}

#[test]
fn an_amount_too_large_is_an_error_and_no_panic() {
    let largest = [Step::flat(i64::MAX)];
    let steps = [
        Step {
            up_to: Some(u64::MAX - 1),
            rate: Rate(i64::MAX),
        },
        Step::flat(i64::MAX),
    ];
    for rates in [largest.as_slice(), steps.as_slice()] {
        assert_eq!(
            amount(0, rates, MicroUnits(i64::MAX)),
            Err(MoneyError::Overflow)
        );
        assert_eq!(amount(u64::MAX, rates, MicroUnits(i64::MAX)), Ok(0));
    }
    let dollar = [Step::flat(1_000_000)];
    assert_eq!(
        amount(0, &dollar, MicroUnits(i64::MAX)),
        Ok(922_337_203_685_478)
    );
}

/// The price of each of the first `units` units by itself, in micro-units: which step it is in is asked for
/// each anew.
fn unit_by_unit(steps: &[Step], units: u64) -> i128 {
    let rate_of = |unit: u64| {
        let step = steps
            .iter()
            .find(|step| step.up_to.is_none_or(|end| unit <= end));
        step.map_or(0, |step| i128::from(step.rate.0))
    };
    (1..=units).map(rate_of).sum()
}

/// The same as a fraction of minor units: the first rate for everything, and at each step's end what the rate
/// changes by for everything after it.
fn oracle(steps: &[Step], beyond_micros: i128) -> (i128, i128) {
    let mut rate = 0;
    let mut begins = 0;
    let mut sum = 0;
    for step in steps {
        let change = i128::from(step.rate.0) - rate;
        sum += change * (beyond_micros - begins).max(0);
        rate = i128::from(step.rate.0);
        begins = i128::from(step.up_to.unwrap_or(0)) * 1_000_000;
    }
    (sum * 100, 1_000_000_000_000)
}

proptest! {
    #[test]
    fn every_amount_is_the_exact_price_rounded_once(
        included in 0..120u64,
        rates in arbitrary::steps(),
        quantity in arbitrary::quantity(),
    ) {
        let beyond = (i128::from(quantity.0) - i128::from(included) * 1_000_000).max(0);
        let (numerator, denominator) = oracle(&rates, beyond);
        let expected = (numerator * 2 + denominator) / (denominator * 2);
        prop_assert_eq!(i128::from(amount(included, &rates, quantity)?), expected);
    }

    #[test]
    fn every_unit_beyond_is_billed_once_by_the_step_it_is_in(
        rates in arbitrary::steps(),
        units in 0..300u64,
    ) {
        let exact = graduated(&rates, MicroUnits::of_units(units))?;
        let expected = price(MicroUnits(1_000_000), Rate(i64::try_from(unit_by_unit(&rates, units))?));
        prop_assert_eq!(exact, expected);
    }

    #[test]
    fn more_usage_never_costs_less(
        included in 0..120u64,
        rates in arbitrary::steps(),
        a in arbitrary::quantity(),
        b in arbitrary::quantity(),
    ) {
        let (less, more) = (a.min(b), a.max(b));
        prop_assert!(amount(included, &rates, less)? <= amount(included, &rates, more)?);
    }

    #[test]
    fn many_small_events_cost_what_one_large_one_does(
        rates in arbitrary::steps(),
        events in prop::collection::vec(1..2_000_000i64, 1..60),
    ) {
        let whole = MicroUnits(events.iter().sum());
        let summed: MicroUnits = events.iter().map(|micros| MicroUnits(*micros)).sum();
        let doubled_and_reversed = events.iter().map(|micros| MicroUnits(*micros) - MicroUnits(*micros));
        let summed = summed + doubled_and_reversed.sum();
        prop_assert_eq!(amount(3, &rates, summed)?, amount(3, &rates, whole)?);
    }

    #[test]
    fn nothing_panics_whatever_is_stored(
        included in any::<u64>(),
        quantity in any::<i64>(),
        ends in any::<[Option<u64>; 3]>(),
        rates in any::<[i64; 3]>(),
    ) {
        let steps: Vec<Step> = ends
            .iter()
            .zip(rates)
            .map(|(up_to, rate)| Step { up_to: *up_to, rate: Rate(rate) })
            .collect();
        let found = amount(included, &steps, MicroUnits(quantity));
        prop_assert!(found.is_ok() || found == Err(MoneyError::Overflow));
    }
}
