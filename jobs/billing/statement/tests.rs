use proptest::prelude::*;

use super::*;
use crate::{
    billing::{arbitrary, charges::revise},
    money::major_text,
    plans::{BUILT_IN, Catalogue},
};

fn of(tier: &str) -> Terms {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    Terms::of(catalogue.tier(tier).unwrap(), "usd")
}

fn used(minutes: u64, messages: u64) -> Used {
    let units = MicroUnits::of_units;
    Used {
        meters: BTreeMap::from([
            ("sms".to_owned(), units(messages)),
            ("voice_minutes".to_owned(), units(minutes)),
        ]),
        numbers: vec!["PN1".to_owned()],
    }
}

#[test]
fn the_example_of_the_contract_has_its_numbers() {
    let statement = Statement::of(&of("ai_secretary"), &used(150, 120)).unwrap();
    let voice = MeterStatement {
        used: MicroUnits::of_units(150),
        limit: Quantity::Units(100),
        overage: MicroUnits::of_units(50),
        cost_minor: 65,
        percentage: 150.0,
    };
    let sms = MeterStatement {
        used: MicroUnits::of_units(120),
        limit: Quantity::Units(100),
        overage: MicroUnits::of_units(20),
        cost_minor: 15,
        percentage: 120.0,
    };
    assert_eq!(statement.meter("voice_minutes"), voice);
    assert_eq!(statement.meter("sms"), sms);
    assert_eq!(statement.numbers_cost_minor, 500);
    assert_eq!(statement.total_minor, 580);
    assert_eq!(major_text(statement.total_minor, "usd"), "5.80");
}

#[test]
fn unlimited_has_no_overage_and_no_percentage() {
    let statement = Statement::of(&of("ai_cto"), &used(100_000, 7)).unwrap();
    let voice = statement.meter("voice_minutes");
    assert_eq!(voice.limit, Quantity::Unlimited);
    assert_eq!(voice.overage, MicroUnits::ZERO);
    assert_eq!((voice.cost_minor, voice.percentage), (0, 0.0));
    assert_eq!(statement.total_minor, 500);
}

#[test]
fn a_percentage_is_not_rounded_and_is_0_where_nothing_is_included() {
    let third = Terms {
        meters: BTreeMap::from([(
            "sms".to_owned(),
            crate::billing::Meter {
                included: Quantity::Units(3),
                rates: Vec::new(),
            },
        )]),
        ..of("free")
    };
    let statement = Statement::of(&third, &used(4, 1)).unwrap();
    assert_eq!(statement.meter("sms").percentage, 1.0 / 3.0 * 100.0);
    assert_eq!(statement.meter("voice_minutes").percentage, 0.0);
    assert_eq!(
        statement.meter("voice_minutes").overage,
        MicroUnits::of_units(4)
    );
    assert_eq!(statement.meter("faxes").used, MicroUnits::ZERO);
}

#[test]
fn a_total_too_large_is_an_error() {
    let dear = Terms {
        number_fee_minor: i64::MAX,
        ..of("ai_secretary")
    };
    assert_eq!(
        Statement::of(&dear, &used(150, 0)),
        Err(MoneyError::Overflow)
    );
}

proptest! {
    #[test]
    fn a_preview_is_what_is_then_charged(
        terms in arbitrary::terms(),
        quantity in arbitrary::quantity(),
        other in arbitrary::quantity(),
    ) {
        let meters = [("sms".to_owned(), quantity), ("data".to_owned(), other)];
        let used = Used { meters: meters.into(), numbers: vec!["PN1".to_owned()] };
        let charged: i64 = rate(&terms, &used)?
            .iter()
            .filter_map(|rated| revise(None, rated))
            .map(|revision| revision.amount_minor)
            .sum();
        prop_assert_eq!(Statement::of(&terms, &used)?.total_minor, charged);
    }
}
