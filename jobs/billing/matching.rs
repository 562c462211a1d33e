//! Whether what stands on an invoice is what should: each of our charges once, to the cent, and nothing else of
//! ours. What others put there is none of our business.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stripe::Metadata;

/// What our lines and invoices say of themselves in their metadata.
pub const APP_KEY: &str = "app";
pub const APP: &str = "tollkeeper";
/// The charge that a line is.
pub const CHARGE_KEY: &str = "charge_id";
/// Which revision of its meter's charge it is.
pub const REVISION_KEY: &str = "revision";
/// The invoice of ours that an invoice is.
pub const INVOICE_KEY: &str = "invoice_id";

/// Whether a line or an invoice says that it is ours.
pub fn is_ours(metadata: &Metadata) -> bool {
    metadata.get(APP_KEY).is_some_and(|app| app == APP)
}

/// A charge of ours that should stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub charge_id: String,
    /// The line that we put there for it.
    pub item_ref: String,
    pub amount_minor: i64,
    pub currency: String,
}

/// A line that stands there and says in its metadata that it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub item_ref: String,
    /// What it says it is; empty where it says nothing.
    pub charge_id: String,
    pub amount_minor: i64,
    pub currency: String,
}

/// Something that is not as it should be. As JSON it is what findings tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Difference {
    /// A charge does not stand there.
    Missing { charge_id: String },
    /// It stands there with another amount or currency.
    Altered {
        charge_id: String,
        item_ref: String,
        amount_minor: i64,
    },
    /// It stands there once more.
    Doubled { charge_id: String, item_ref: String },
    /// It says it is ours, and we know of no such charge on this invoice.
    Foreign { item_ref: String },
}

impl Difference {
    /// The line that should not stand there; None for one that should.
    pub fn surplus(&self) -> Option<&str> {
        match self {
            Difference::Doubled { item_ref, .. } | Difference::Foreign { item_ref } => {
                Some(item_ref)
            }
            Difference::Missing { .. } | Difference::Altered { .. } => None,
        }
    }
}

/// Everything that is not as it should be, in a fixed order. Of several lines of one charge ours stands for it; where
/// that is gone, the first that is right, and the first at all where none is.
pub fn compare(wanted: &[Wanted], lines: &[Line]) -> Vec<Difference> {
    let mut by_charge: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        by_charge.entry(&line.charge_id).or_default().push(line);
    }
    let mut differences = Vec::new();
    for charge in wanted {
        let mut there = by_charge
            .remove(charge.charge_id.as_str())
            .unwrap_or_default();
        there.sort_by_key(|line| {
            let is_ours = line.item_ref == charge.item_ref;
            (!is_ours, !is_right(charge, line), &line.item_ref)
        });
        let charge_id = charge.charge_id.clone();
        if there.is_empty() {
            differences.push(Difference::Missing { charge_id });
            continue;
        }
        let kept = there.remove(0);
        if !is_right(charge, kept) {
            differences.push(Difference::Altered {
                charge_id: charge_id.clone(),
                item_ref: kept.item_ref.clone(),
                amount_minor: kept.amount_minor,
            });
        }
        differences.extend(there.into_iter().map(|line| Difference::Doubled {
            charge_id: charge_id.clone(),
            item_ref: line.item_ref.clone(),
        }));
    }
    let foreign = by_charge.into_values().flatten();
    differences.extend(foreign.map(|line| Difference::Foreign {
        item_ref: line.item_ref.clone(),
    }));
    differences.sort();
    differences
}

fn is_right(charge: &Wanted, line: &Line) -> bool {
    (charge.amount_minor, charge.currency.as_str()) == (line.amount_minor, line.currency.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(charge_id: &str, amount_minor: i64) -> Wanted {
        Wanted {
            charge_id: charge_id.into(),
            item_ref: format!("ii_of_{charge_id}"),
            amount_minor,
            currency: "usd".into(),
        }
    }

    fn line(item_ref: &str, charge_id: &str, amount_minor: i64) -> Line {
        Line {
            item_ref: item_ref.into(),
            charge_id: charge_id.into(),
            amount_minor,
            currency: "usd".into(),
        }
    }

    #[test]
    fn the_same_charges_once_each_are_no_difference() {
        let both = [line("ii_2", "b", -20), line("ii_1", "a", 10)];
        assert_eq!(compare(&[wanted("a", 10), wanted("b", -20)], &both), []);
        assert_eq!(compare(&[], &[]), []);
    }

    #[test]
    fn every_kind_of_difference_is_told_by_its_name() {
        let lines = [
            line("ii_1", "a", 10),
            line("ii_2", "a", 10),
            line("ii_3", "b", 21),
            line("ii_4", "", 5),
            line("ii_5", "z", 5),
        ];
        let found = compare(&[wanted("a", 10), wanted("b", 20), wanted("c", 30)], &lines);
        let charge_id = |id: &str| id.to_owned();
        let expected = [
            Difference::Missing {
                charge_id: charge_id("c"),
            },
            Difference::Altered {
                charge_id: charge_id("b"),
                item_ref: "ii_3".into(),
                amount_minor: 21,
            },
            Difference::Doubled {
                charge_id: charge_id("a"),
                item_ref: "ii_2".into(),
            },
            Difference::Foreign {
                item_ref: "ii_4".into(),
            },
            Difference::Foreign {
                item_ref: "ii_5".into(),
            },
        ];
        assert_eq!(found, expected);
        let surplus: Vec<_> = found.iter().filter_map(Difference::surplus).collect();
        assert_eq!(surplus, ["ii_2", "ii_4", "ii_5"]);
    }

    #[test]
    fn of_two_lines_ours_stays_or_else_the_right_one() {
        let doubled = |item_ref: &str| Difference::Doubled {
            charge_id: "a".into(),
            item_ref: item_ref.into(),
        };
        let lines = [line("ii_1", "a", 10), line("ii_of_a", "a", 10)];
        assert_eq!(compare(&[wanted("a", 10)], &lines), [doubled("ii_1")]);
        let lines = [line("ii_1", "a", 99), line("ii_2", "a", 10)];
        assert_eq!(compare(&[wanted("a", 10)], &lines), [doubled("ii_1")]);
        let euro = Line {
            currency: "eur".into(),
            ..line("ii_1", "a", 10)
        };
        assert!(matches!(
            &compare(&[wanted("a", 10)], &[euro])[..],
            [Difference::Altered { .. }]
        ));
    }
}
