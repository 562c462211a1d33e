//! Charges of a period as revisions: each is the whole period rated anew, less what the ones before
//! it came to. So late, reversed and corrected usage needs no rule of its own, and the sum of the
//! amounts is what the period costs, whatever happened in between.

use super::{rating::Rated, waivers::Waiver};
use crate::usage::MicroUnits;

/// The newest revision of one (period, meter, subject).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// From 1 on.
    pub revision: i32,
    /// What the whole period came to.
    pub rated_minor: i64,
}

/// A change of what a period costs; as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub meter: String,
    /// The number's id; empty for everything else.
    pub subject: String,
    pub revision: i32,
    /// 0 where nothing came before.
    pub previous_rated_minor: i64,
    pub rated_minor: i64,
    /// What is charged, below zero what is given back: `rated_minor - previous_rated_minor`.
    pub amount_minor: i64,
    /// Of the whole period, not of this revision alone.
    pub quantity: MicroUnits,
    /// How much of it was not included.
    pub beyond: MicroUnits,
}

/// The next revision, if the period does not cost what was charged for it. Nothing is charged for
/// what never cost anything, so a first revision has an amount.
pub fn revise(last: Option<&Last>, rated: &Rated) -> Option<Revision> {
    let (revision, previous_rated_minor) =
        last.map_or((0, 0), |last| (last.revision, last.rated_minor));
    // Neither is below zero, as no rate and no fee is; so the difference is an amount.
    let amount_minor = rated.amount_minor - previous_rated_minor;
    (amount_minor != 0).then(|| Revision {
        meter: rated.meter.clone(),
        subject: rated.subject.clone(),
        revision: revision + 1,
        previous_rated_minor,
        rated_minor: rated.amount_minor,
        amount_minor,
        quantity: rated.quantity,
        beyond: rated.beyond,
    })
}

/// What of a revision takes back usage that nobody paid, and what of it counts: a revision each. `unpaid_minor` is what
/// stands on invoices that were voided or written off, less what was taken back of that before.
pub fn without_unpaid(revision: Revision, unpaid_minor: i64) -> Vec<(Revision, Option<Waiver>)> {
    let takes_back = revision.amount_minor.saturating_neg();
    let waived = takes_back.min(unpaid_minor);
    if waived <= 0 {
        return vec![(revision, None)];
    }
    if waived == takes_back {
        return vec![(revision, Some(Waiver::InvoiceVoided))];
    }
    let between = revision.previous_rated_minor - waived;
    let rest = Revision {
        revision: revision.revision + 1,
        previous_rated_minor: between,
        amount_minor: revision.rated_minor - between,
        ..revision.clone()
    };
    let unpaid = Revision {
        rated_minor: between,
        amount_minor: -waived,
        ..revision
    };
    vec![(unpaid, Some(Waiver::InvoiceVoided)), (rest, None)]
}

impl Revision {
    /// What the next revision begins with.
    pub fn as_last(&self) -> Last {
        Last {
            revision: self.revision,
            rated_minor: self.rated_minor,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rated(amount_minor: i64) -> Rated {
        Rated {
            meter: "sms".to_owned(),
            subject: String::new(),
            quantity: MicroUnits::of_units(120),
            beyond: MicroUnits::of_units(20),
            amount_minor,
        }
    }

    /// The revision, what came before, what is now and the amount.
    #[track_caller]
    fn check(last: Option<(i32, i64)>, now: i64, expected: Option<(i32, i64, i64, i64)>) {
        let last = last.map(|(revision, rated_minor)| Last {
            revision,
            rated_minor,
        });
        let found = revise(last.as_ref(), &rated(now)).map(|one| {
            (
                one.revision,
                one.previous_rated_minor,
                one.rated_minor,
                one.amount_minor,
            )
        });
        assert_eq!(found, expected, "{last:?}, then {now}");
    }

    #[test]
    fn a_revision_is_the_difference_to_the_one_before() {
        check(None, 65, Some((1, 0, 65, 65)));
        check(Some((1, 65)), 69, Some((2, 65, 69, 4)));
        check(Some((2, 69)), 0, Some((3, 69, 0, -69)));
        check(Some((3, 0)), 65, Some((4, 0, 65, 65)));
        check(None, i64::MAX, Some((1, 0, i64::MAX, i64::MAX)));
    }

    #[test]
    fn what_costs_the_same_is_not_charged_again() {
        check(None, 0, None);
        check(Some((1, 65)), 65, None);
        check(Some((3, 0)), 0, None);
    }

    proptest! {
        #[test]
        fn the_amounts_always_add_up_to_what_was_rated_last(
            ratings in prop::collection::vec(prop_oneof![0..5i64, 0..=i64::MAX], 1..30),
        ) {
            let mut last: Option<Last> = None;
            let mut sum = 0;
            let mut revisions = 0;
            for amount in ratings {
                if let Some(revision) = revise(last.as_ref(), &rated(amount)) {
                    revisions += 1;
                    prop_assert_eq!(revision.revision, revisions);
                    sum += revision.amount_minor;
                    last = Some(revision.as_last());
                }
                prop_assert_eq!(sum, amount);
            }
        }
    }

    #[test]
    fn what_nobody_paid_is_not_given_back_and_what_they_paid_is() {
        for (before, now, unpaid, expected) in [
            (65, 0, 65, vec![(1, 0, -65, true)]),
            (75, 0, 65, vec![(1, 10, -65, true), (2, 0, -10, false)]),
            (75, 65, 65, vec![(1, 65, -10, true)]),
            (65, 0, 0, vec![(1, 0, -65, false)]),
            (65, 0, -5, vec![(1, 0, -65, false)]),
            (0, 65, 65, vec![(1, 65, 65, false)]),
        ] {
            let last = Last {
                revision: 0,
                rated_minor: before,
            };
            let revision = revise(Some(&last), &rated(now)).unwrap();
            let parts = without_unpaid(revision, unpaid).into_iter();
            let parts = parts.map(|(part, waiver)| {
                let (rated, amount) = (part.rated_minor, part.amount_minor);
                assert_eq!(part.previous_rated_minor + amount, rated);
                (part.revision, rated, amount, waiver.is_some())
            });
            assert_eq!(
                parts.collect::<Vec<_>>(),
                expected,
                "{before} {now} {unpaid}"
            );
        }
    }
}
