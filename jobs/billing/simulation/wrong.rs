//! How two of the faults rate.

use super::{book::Book, script::catalogue};
use crate::{
    billing::{
        Rated, Terms, Used,
        periods::{Period, Subscribed},
        rate,
        terms::Step,
    },
    money::price,
    plans::Quantity,
    usage::MicroUnits,
};

/// The plan that is held last is taken for that of the whole period.
pub fn last_plan_for_all(period: &mut Period, subscribed: &Subscribed) {
    let tier = subscribed
        .tier
        .as_deref()
        .and_then(|id| catalogue().tier(id));
    if let Some(tier) = tier {
        period.terms = Terms::of(tier, &period.terms.currency);
    }
}

/// Each event beyond what is included is rounded by itself.
pub fn rounded_per_event(period: &Period, book: &Book, numbers: Vec<String>) -> Vec<Rated> {
    let mut used = Used {
        numbers,
        ..Used::default()
    };
    let mut amounts = std::collections::BTreeMap::<&str, i64>::new();
    for event in &book.usage {
        if !period.span.contains(event.occurred_at) {
            continue;
        }
        let sum = used.meters.entry(event.meter.to_owned()).or_default();
        let meter = period.terms.meter(event.meter);
        let before = beyond(meter.included, *sum);
        *sum = *sum + event.quantity;
        let after = beyond(meter.included, *sum);
        *amounts.entry(event.meter).or_default() += between(&meter.rates, before, after);
    }
    let mut rated = rate(&period.terms, &used).expect("amounts of the simulation are small");
    for one in &mut rated {
        if let Some(amount) = amounts.get(one.meter.as_str()) {
            one.amount_minor = *amount;
        }
    }
    rated
}

fn beyond(included: Quantity, quantity: MicroUnits) -> MicroUnits {
    match included {
        Quantity::Unlimited => MicroUnits::ZERO,
        Quantity::Units(units) => (quantity - MicroUnits::of_units(units)).at_least_zero(),
    }
}

/// What the units from one to another cost, step by step, rounded.
fn between(steps: &[Step], from: MicroUnits, to: MicroUnits) -> i64 {
    if to < from {
        return -between(steps, to, from);
    }
    let mut begins = MicroUnits::ZERO;
    let mut sum = 0;
    for step in steps {
        let ends = step.up_to.map_or(to.max(begins), MicroUnits::of_units);
        let part = (ends.min(to) - begins.max(from)).at_least_zero();
        sum += price(part, step.rate)
            .to_minor("usd")
            .expect("amounts of the simulation are small");
        begins = ends;
    }
    sum
}
