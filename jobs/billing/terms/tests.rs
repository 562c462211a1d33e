use proptest::prelude::*;

use super::*;
use crate::{
    billing::{Used, arbitrary, rate},
    plans::{BUILT_IN, Catalogue},
    usage::MicroUnits,
};

fn of(tier: &str) -> Terms {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    Terms::of(catalogue.tier(tier).unwrap(), &catalogue.currency)
}

fn with(included: u64, rates: Vec<Step>) -> Terms {
    let included = Quantity::Units(included);
    Terms {
        meters: BTreeMap::from([("sms".to_owned(), Meter { included, rates })]),
        ..of("free")
    }
}

/// As it lies in the periods of every installation: what this test reads must always be read.
const STORED: &str = r#"{"tier":"ai_secretary","currency":"usd","meters":{"sms":{"included":100,"rates":[{"rate":7500}]},"voice_minutes":{"included":100,"rates":[{"rate":13000}]}},"number_fee_minor":500}"#;

#[test]
fn terms_are_stored_as_they_always_were() {
    assert_eq!(serde_json::to_string(&of("ai_secretary")).unwrap(), STORED);
    assert_eq!(
        serde_json::from_str::<Terms>(STORED).unwrap(),
        of("ai_secretary")
    );
    let unlimited = r#""voice_minutes":{"included":-1,"rates":[]}"#;
    let written = serde_json::to_string(&of("ai_cto")).unwrap();
    assert!(written.contains(unlimited), "{written}");
    assert_eq!(
        serde_json::from_str::<Terms>(&written).unwrap(),
        of("ai_cto")
    );
}

#[test]
fn what_another_version_wrote_is_read() {
    let later = STORED
        .replace("{\"tier\"", "{\"discount\":5,\"tier\"")
        .replace("{\"rate\":7500}", "{\"rate\":7500,\"label\":\"x\"}");
    assert_eq!(
        serde_json::from_str::<Terms>(&later).unwrap(),
        of("ai_secretary")
    );
    let bare = r#"{"tier":"free","currency":"usd","meters":{"sms":{"included":5}}}"#;
    assert_eq!(
        serde_json::from_str::<Terms>(bare).unwrap(),
        with(5, Vec::new())
    );
}

#[test]
fn the_largest_allowance_held_is_the_period_s() {
    let (secretary, manager) = (of("ai_secretary"), of("ai_project_manager"));
    for changed in [
        secretary.changed_to(&manager),
        manager.changed_to(&secretary),
    ] {
        assert_eq!(
            changed.meters["voice_minutes"].included,
            Quantity::Units(500)
        );
        assert_eq!(changed.meters["voice_minutes"].rates, [Step::flat(13_000)]);
    }
    let back_from_all = of("ai_cto").changed_to(&secretary);
    assert_eq!(back_from_all.meters["sms"].included, Quantity::Unlimited);
    assert_eq!(back_from_all.tier, "ai_secretary");
}

#[test]
fn the_last_rate_is_the_period_s_and_stands_where_none_follows() {
    let (cheap, dear) = (with(1, vec![Step::flat(10)]), with(2, vec![Step::flat(20)]));
    assert_eq!(
        cheap.changed_to(&dear).meters["sms"].rates,
        [Step::flat(20)]
    );
    assert_eq!(
        dear.changed_to(&cheap).meters["sms"].rates,
        [Step::flat(10)]
    );
    let free = with(9, Vec::new());
    assert_eq!(dear.changed_to(&free).meters["sms"].rates, [Step::flat(20)]);
}

#[test]
fn who_changes_down_on_the_last_day_pays_for_what_was_used_and_held() {
    let changed = of("ai_secretary").changed_to(&of("ai_buddy"));
    let used = Used {
        meters: BTreeMap::from([("voice_minutes".to_owned(), MicroUnits::of_units(150))]),
        numbers: vec!["PN1".to_owned()],
    };
    let amounts: Vec<_> = rate(&changed, &used).unwrap();
    let amounts: Vec<_> = amounts.iter().map(|one| one.amount_minor).collect();
    assert_eq!(amounts, [500, 0, 65]);
    assert_eq!(changed.tier, "ai_buddy");
}

#[test]
fn prices_in_another_currency_are_no_prices_of_the_period() {
    let dollars = with(1, vec![Step::flat(10)]);
    let yen = Terms {
        currency: "jpy".to_owned(),
        number_fee_minor: 600,
        ..with(5, vec![Step::flat(9_000_000)])
    };
    let changed = dollars.changed_to(&yen);
    assert_eq!(changed.currency, "usd");
    assert_eq!(changed.number_fee_minor, 0);
    assert_eq!(
        changed.meters["sms"],
        with(5, vec![Step::flat(10)]).meters["sms"]
    );
}

proptest! {
    #[test]
    fn a_change_to_the_same_plan_changes_nothing(terms in arbitrary::terms()) {
        prop_assert_eq!(terms.changed_to(&terms), terms);
    }

    /// So it does not matter in how many steps changes are learnt of.
    #[test]
    fn changes_may_be_grouped_in_any_way(
        a in arbitrary::terms(),
        b in arbitrary::terms(),
        c in arbitrary::terms(),
    ) {
        prop_assert_eq!(
            a.changed_to(&b).changed_to(&c),
            a.changed_to(&b.changed_to(&c))
        );
    }

    #[test]
    fn no_change_makes_cost_what_was_included_in_any_plan_held(
        held in prop::collection::vec(arbitrary::terms(), 1..5),
        which in any::<prop::sample::Index>(),
        share in 0..=100u64,
    ) {
        let period = held[1..].iter().fold(held[0].clone(), |all, next| all.changed_to(next));
        let plan = &held[which.index(held.len())];
        let included = plan.meters.iter().map(|(name, meter)| {
            let units = match meter.included {
                Quantity::Units(units) => units * share / 100,
                Quantity::Unlimited => 1_000_000 * share,
            };
            (name.clone(), MicroUnits::of_units(units))
        });
        let used = Used { meters: included.collect(), numbers: Vec::new() };
        for rated in rate(&period, &used)? {
            prop_assert_eq!(rated.amount_minor, 0, "{:?}", rated);
        }
    }

    #[test]
    fn no_change_takes_away_that_there_is_a_price(a in arbitrary::terms(), b in arbitrary::terms()) {
        let changed = a.changed_to(&b);
        for (name, meter) in &a.meters {
            prop_assert!(meter.rates.is_empty() || !changed.meters[name].rates.is_empty());
        }
        prop_assert!(a.number_fee_minor == 0 || changed.number_fee_minor > 0);
    }

    #[test]
    fn what_is_stored_is_what_is_read(terms in arbitrary::terms()) {
        let stored = serde_json::to_string(&terms)?;
        prop_assert_eq!(serde_json::from_str::<Terms>(&stored)?, terms);
    }
}
