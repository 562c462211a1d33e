//! What is rated and not charged, with the reason it keeps: whole periods, and what would give back money that nobody paid.

use crate::{stripe::Status, usage::Span};

/// Why a period, or one revision of it, is not charged. The names are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiver {
    /// All of it lay within the trial.
    Trial,
    /// The subscription stands still because its trial ended without a way to pay.
    Paused,
    /// Collection is paused in a way that voids the invoices, or gives them up.
    CollectionVoided,
    /// Of a revision: it takes back what stands on an invoice that was voided or written off, which nobody paid.
    InvoiceVoided,
}

impl Waiver {
    const ALL: [Waiver; 4] = [
        Waiver::Trial,
        Waiver::Paused,
        Waiver::CollectionVoided,
        Waiver::InvoiceVoided,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Waiver::Trial => "trial",
            Waiver::Paused => "paused",
            Waiver::CollectionVoided => "collection_voided",
            Waiver::InvoiceVoided => "invoice_voided",
        }
    }

    pub fn of_stored(text: &str) -> Option<Waiver> {
        Waiver::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// What is known of a period that is to be closed, and of its subscription now.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub period: Span,
    /// The last one.
    pub trial: Option<Span>,
    pub status: &'a Status,
    /// Stripe's `pause_collection.behavior`. None: invoices are collected.
    pub pause_behavior: Option<&'a str>,
}

/// Whether a period is waived. A draft that is kept is charged one day, so what goes on it is not waived; nor
/// is anything for a word of Stripe's that we do not know.
pub fn waiver(facts: &Facts) -> Option<Waiver> {
    let Span { starts_at, ends_at } = facts.period;
    let is_within = |trial: Span| trial.starts_at <= starts_at && ends_at <= trial.ends_at;
    if facts.trial.is_some_and(is_within) {
        return Some(Waiver::Trial);
    }
    if matches!(facts.pause_behavior, Some("void" | "mark_uncollectible")) {
        return Some(Waiver::CollectionVoided);
    }
    (*facts.status == Status::Paused).then_some(Waiver::Paused)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    const START: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

    #[track_caller]
    fn check(trial_days: Option<i64>, status: &str, pause: Option<&str>, expected: Option<Waiver>) {
        let trial = trial_days.map(|until| (0, until));
        check_trial(trial, status, pause, expected);
    }

    /// A trial from and until so many days after the period's start.
    #[track_caller]
    fn check_trial(
        trial: Option<(i64, i64)>,
        status: &str,
        pause: Option<&str>,
        expected: Option<Waiver>,
    ) {
        let found = waiver(&Facts {
            period: Span {
                starts_at: START,
                ends_at: START + TimeDelta::days(30),
            },
            trial: trial.map(|(from, until)| Span {
                starts_at: START + TimeDelta::days(from),
                ends_at: START + TimeDelta::days(until),
            }),
            status: &Status::from(status),
            pause_behavior: pause,
        });
        assert_eq!(found, expected, "{trial:?} {status} {pause:?}");
    }

    #[test]
    fn a_period_is_waived_if_all_of_it_was_trial() {
        check(Some(30), "active", None, Some(Waiver::Trial));
        check(Some(31), "trialing", None, Some(Waiver::Trial));
        check(Some(29), "active", None, None);
        check(Some(-5), "active", None, None);
        check(None, "trialing", None, None);
    }

    #[test]
    fn what_was_paid_for_before_a_trial_is_not_waived() {
        check_trial(Some((1, 45)), "trialing", None, None);
        check_trial(Some((-1, 45)), "trialing", None, Some(Waiver::Trial));
        check_trial(Some((30, 45)), "trialing", None, None);
    }

    #[test]
    fn a_paused_collection_waives_what_it_does_not_keep() {
        let voided = Some(Waiver::CollectionVoided);
        check(None, "active", Some("void"), voided);
        check(None, "active", Some("mark_uncollectible"), voided);
        check(None, "active", Some("keep_as_draft"), None);
        check(None, "active", Some("a word to come"), None);
        check(Some(30), "active", Some("void"), Some(Waiver::Trial));
    }

    #[test]
    fn a_paused_subscription_is_waived_and_no_other_status() {
        check(None, "paused", None, Some(Waiver::Paused));
        for status in ["active", "past_due", "unpaid", "canceled", "incomplete"] {
            check(None, status, None, None);
        }
    }

    #[test]
    fn stored_names_never_change() {
        let names = Waiver::ALL.map(Waiver::as_str);
        assert_eq!(
            names,
            ["trial", "paused", "collection_voided", "invoice_voided"]
        );
        for waiver in Waiver::ALL {
            assert_eq!(Waiver::of_stored(waiver.as_str()), Some(waiver));
        }
        assert_eq!(Waiver::of_stored("gift"), None);
    }
}
