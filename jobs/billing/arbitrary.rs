//! Random terms and usage, for the properties.

use proptest::{collection, option, prelude::*};

use super::terms::{Meter, Step, Terms};
use crate::{money::Rate, plans::Quantity, usage::MicroUnits};

const METERS: [&str; 3] = ["data", "sms", "voice_minutes"];

/// Up to four steps, with ends near each other and near what is used.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lengths = collection::vec((1..60u64, 0..40_000i64), 0..4);
    (lengths, option::of(0..40_000i64)).prop_map(|(lengths, last)| {
        let mut end = 0;
        let steps = lengths.into_iter().map(|(length, rate)| {
            end += length;
            Step {
                up_to: Some(end),
                rate: Rate(rate),
            }
        });
        let ended: Vec<Step> = steps.collect();
        match last {
            Some(rate) => [ended, vec![Step::flat(rate)]].concat(),
            None => Vec::new(),
        }
    })
}

pub fn included() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        8 => (0..120u64).prop_map(Quantity::Units),
        1 => Just(Quantity::Unlimited),
    ]
}

/// Any terms in dollars, of some of a few meters.
pub fn terms() -> impl Strategy<Value = Terms> {
    let meter = (included(), steps()).prop_map(|(included, rates)| Meter { included, rates });
    let meters = collection::btree_map(
        prop::sample::select(METERS.as_slice()).prop_map(str::to_owned),
        meter,
        0..=METERS.len(),
    );
    let tier = prop::sample::select(["free", "small", "large"].as_slice());
    let fee = prop_oneof![Just(0), 1..900i64];
    (tier, meters, fee).prop_map(|(tier, meters, number_fee_minor)| Terms {
        tier: tier.to_owned(),
        currency: "usd".to_owned(),
        meters,
        number_fee_minor,
    })
}

/// Up to 300 units, every other one of them whole.
pub fn quantity() -> impl Strategy<Value = MicroUnits> {
    prop_oneof![
        (0..300u64).prop_map(MicroUnits::of_units),
        (0..300_000_000i64).prop_map(MicroUnits),
    ]
}
