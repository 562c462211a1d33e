//! What a change in the middle of a period costs, to the second: the time not used is given back,
//! the time that remains is charged.

use super::super::model::{Item, Price, Subscription};

/// One item of a subscription for the rest of a period.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub subscription_item: String,
    pub price: Price,
    pub quantity: i64,
    /// Below zero: time not used.
    pub amount: i64,
    pub description: String,
    pub start: i64,
    pub end: i64,
}

/// The part of an amount that falls on `[from, end)` of the period `[start, end)`, rounded half up;
/// nothing outside of it.
fn share(amount: i64, start: i64, end: i64, from: i64) -> i64 {
    let whole = i128::from((end - start).max(1));
    let rest = i128::from((end - from).clamp(0, end - start));
    let exact = i128::from(amount) * rest;
    i64::try_from((2 * exact + whole) / (2 * whole)).unwrap_or(i64::MAX)
}

/// What a change at `from` makes: a part for what every changed item was, and one for what it is.
/// Where a new period begins with the change, only for what was: the new one is charged as a whole.
pub(super) fn of_change(before: &Subscription, after: &Subscription, from: i64) -> Vec<Part> {
    let is_reset = after.period_start != before.period_start;
    let find = |items: &[Item], id: &str| items.iter().find(|item| item.id == id).cloned();
    let mut parts = Vec::new();
    for was in &before.items {
        let is = find(&after.items, &was.id);
        if is.as_ref() == Some(was) && !is_reset {
            continue;
        }
        parts.push(unused(before, was, from));
        if let Some(is) = is.filter(|_| !is_reset) {
            parts.push(remaining(before, &is, from));
        }
    }
    let added = after
        .items
        .iter()
        .filter(|item| find(&before.items, &item.id).is_none());
    if !is_reset {
        parts.extend(added.map(|item| remaining(before, item, from)));
    }
    parts
}

/// The credit for the rest of a period of everything a subscription has.
pub(super) fn of_end(of: &Subscription, from: i64) -> Vec<Part> {
    of.items.iter().map(|item| unused(of, item, from)).collect()
}

fn unused(of: &Subscription, item: &Item, from: i64) -> Part {
    Part {
        amount: -share(item.amount(), of.period_start, of.period_end, from),
        ..part(of, item, from, "Unused")
    }
}

fn remaining(of: &Subscription, item: &Item, from: i64) -> Part {
    Part {
        amount: share(item.amount(), of.period_start, of.period_end, from),
        ..part(of, item, from, "Remaining")
    }
}

fn part(of: &Subscription, item: &Item, from: i64, what: &str) -> Part {
    Part {
        subscription_item: item.id.clone(),
        price: item.price.clone(),
        quantity: item.quantity,
        amount: 0,
        description: format!("{what} time on {} × {}", item.quantity, item.price.product),
        start: from,
        end: of.period_end,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_is_exact_to_the_second_and_rounded_half_up() {
        for (amount, start, end, from, expected) in [
            (2900, 0, 30, 0, 2900),
            (2900, 0, 30, 10, 1933),
            (2900, 0, 30, 30, 0),
            (9900, 0, 30, 10, 6600),
            (1, 0, 2, 1, 1),
            (5, 0, 10, 5, 3),
            (2900, 0, 2_592_000, 1, 2900),
            (2900, 0, 2_592_000, 2_592_000 - 447, 1),
            (2900, 0, 2_592_000, 2_592_000 - 446, 0),
            (2900, 0, 30, 31, 0),
            (2900, 10, 30, 5, 2900),
        ] {
            assert_eq!(share(amount, start, end, from), expected, "{amount} {from}");
        }
    }

    proptest! {
        #[test]
        fn used_and_unused_time_cost_the_whole_to_the_unit(
            amount in 0..100_000_000_i64, length in 1..100_000_000_i64, at in 0.0..1.0_f64,
        ) {
            let from = (length as f64 * at) as i64;
            let unused = share(amount, 0, length, from);
            prop_assert!((0..=amount).contains(&unused));
            // The used time is the unused one, seen from the other end.
            let used = share(amount, 0, length, length - from);
            prop_assert!((amount..=amount + 1).contains(&(used + unused)));
        }
    }
}
