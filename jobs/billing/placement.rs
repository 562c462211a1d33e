//! Where a charge goes: on the cycle's own draft, on an invoice of our own, or along to the next one.
//!
//! Never on a pending item, and never on `invoice.upcoming`, which only says what is coming.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::stripe::Status;

/// A draft that ends sooner takes nothing more: what is begun on it could not be compared in time.
const LAST_MINUTES: TimeDelta = TimeDelta::minutes(5);
/// Stripe finalizes a renewal's draft within three days. One without a time for that is kept by somebody's wish from then
/// on: it takes nothing more of what comes later.
const KEPT_FOR: TimeDelta = TimeDelta::days(3);
/// How long after a period's end its draft may still be told of. Stripe makes it at the end itself.
const DRAFT_COMES_WITHIN: TimeDelta = TimeDelta::hours(2);
/// Late revisions that come to less wait for the next invoice. Minor units; Stripe's own minimum for a payment.
const WORTH_AN_INVOICE_MINOR: i64 = 50;

/// An invoice as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft<'a> {
    pub status: &'a str,
    pub billing_reason: &'a str,
    /// None: it ends by hand only.
    pub finalizes_at: Option<DateTime<Utc>>,
    /// Of the time that it bills.
    pub period_ends_at: Option<DateTime<Utc>>,
    /// Why nothing on it would be collected, as its subscription stands; see [`uncollected`].
    pub uncollected: Option<&'static str>,
}

/// Why Stripe does not collect the invoices of a subscription. None: it does, or keeps them for later.
pub fn uncollected(status: &Status, pause_behavior: Option<&str>) -> Option<&'static str> {
    match (status, pause_behavior) {
        (Status::Unpaid, _) => Some("its subscription is unpaid: Stripe leaves its drafts alone"),
        (_, Some("void" | "mark_uncollectible")) => Some("collecting is paused: it is given up"),
        _ => None,
    }
}

/// Whether charges can still be put on an invoice of Stripe's; the error says why not.
pub fn takes_charges(draft: &Draft, now: DateTime<Utc>) -> Result<(), &'static str> {
    if draft.billing_reason != "subscription_cycle" {
        return Err("it is no renewal's invoice");
    }
    if draft.status != "draft" {
        return Err("it is no draft any more");
    }
    if let Some(why) = draft.uncollected {
        return Err(why);
    }
    let is_kept = draft
        .period_ends_at
        .is_some_and(|ended_at| now - ended_at > KEPT_FOR);
    match draft.finalizes_at {
        None if is_kept => Err("it is kept as a draft"),
        Some(at) if at - now <= LAST_MINUTES => Err("it is about to be finalized"),
        _ => Ok(()),
    }
}

/// A charge that is on no invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub charge_id: Uuid,
    /// Negative: it is owed to the customer.
    pub amount_minor: i64,
    /// It came after its period had been closed.
    pub is_late: bool,
    pub period_ends_at: DateTime<Utc>,
}

/// What is known of the renewal's invoice at the end of the last period that is owed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal<'a> {
    /// There is or will be none: the subscription ended, or the period was cut short.
    None,
    /// Not told of yet.
    Expected,
    Told(Draft<'a>),
}

/// What becomes of what an account owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the renewal's own draft, which is there.
    Renewal,
    /// On an invoice of our own.
    Own,
    /// Look again then: the renewal's draft may still come.
    WaitUntil(DateTime<Utc>),
    /// It stays for the next invoice.
    Carry(&'static str),
}

/// Where all that an account owes in one currency goes now. Everything goes to one place, so that credits meet
/// what they are due against.
pub fn place(owed: &[Owed], renewal: &Renewal, now: DateTime<Utc>) -> Place {
    let Some(ended_at) = owed.iter().map(|one| one.period_ends_at).max() else {
        return Place::Carry("nothing is owed");
    };
    match renewal {
        Renewal::Told(draft) if takes_charges(draft, now).is_ok() => return Place::Renewal,
        Renewal::Expected if now < ended_at + DRAFT_COMES_WITHIN => {
            return Place::WaitUntil(ended_at + DRAFT_COMES_WITHIN);
        }
        _ => {}
    }
    let total: i128 = owed.iter().map(|one| i128::from(one.amount_minor)).sum();
    if total <= 0 {
        return Place::Carry("it comes to a credit");
    }
    if owed.iter().all(|one| one.is_late) && total < i128::from(WORTH_AN_INVOICE_MINOR) {
        return Place::Carry("it is too little for an invoice of its own");
    }
    Place::Own
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

    fn draft(finalizes_in: Option<TimeDelta>) -> Draft<'static> {
        Draft {
            status: "draft",
            billing_reason: "subscription_cycle",
            finalizes_at: finalizes_in.map(|after| AT + after),
            period_ends_at: Some(AT),
            uncollected: None,
        }
    }

    #[test]
    fn a_draft_that_nobody_finalizes_takes_nothing_of_what_comes_later() {
        let kept = draft(None);
        assert!(takes_charges(&kept, AT + KEPT_FOR).is_ok());
        assert!(takes_charges(&kept, AT + KEPT_FOR + TimeDelta::seconds(1)).is_err());
        let late = draft(Some(KEPT_FOR * 2));
        assert!(takes_charges(&late, AT + KEPT_FOR + TimeDelta::seconds(1)).is_ok());
    }

    #[test]
    fn what_would_not_be_collected_goes_elsewhere() {
        let check = |status: &str, pause: Option<&str>, takes: bool| {
            let uncollected = uncollected(&Status::from(status), pause);
            let draft = Draft {
                uncollected,
                ..draft(None)
            };
            assert_eq!(
                takes_charges(&draft, AT).is_ok(),
                takes,
                "{status} {pause:?}"
            );
            let place = place(&[owed(300, false)], &Renewal::Told(draft), AT);
            assert_eq!(place == Place::Own, !takes, "{status} {pause:?}");
        };
        check("active", None, true);
        check("past_due", None, true);
        check("active", Some("keep_as_draft"), true);
        check("unpaid", None, false);
        check("active", Some("void"), false);
        check("active", Some("mark_uncollectible"), false);
    }

    fn owed(amount_minor: i64, is_late: bool) -> Owed {
        Owed {
            charge_id: Uuid::nil(),
            amount_minor,
            is_late,
            period_ends_at: AT,
        }
    }

    #[test]
    fn a_renewals_draft_takes_charges_until_five_minutes_before_its_end() {
        let soon = LAST_MINUTES + TimeDelta::seconds(1);
        assert!(takes_charges(&draft(Some(soon)), AT).is_ok());
        assert!(takes_charges(&draft(Some(LAST_MINUTES)), AT).is_err());
        assert!(takes_charges(&draft(None), AT).is_ok());
        for other in ["open", "paid", "void"] {
            let status = other;
            assert!(
                takes_charges(
                    &Draft {
                        status,
                        ..draft(None)
                    },
                    AT
                )
                .is_err()
            );
        }
        for other in ["subscription_create", "subscription_update", "manual"] {
            let billing_reason = other;
            assert!(
                takes_charges(
                    &Draft {
                        billing_reason,
                        ..draft(None)
                    },
                    AT
                )
                .is_err()
            );
        }
    }

    #[test]
    fn what_a_period_comes_to_waits_for_its_renewal_and_no_longer() {
        let all = [owed(1, false)];
        let expected = Renewal::Expected;
        let until = AT + DRAFT_COMES_WITHIN;
        assert_eq!(place(&all, &expected, AT), Place::WaitUntil(until));
        assert_eq!(place(&all, &expected, until), Place::Own);
        assert_eq!(place(&all, &Renewal::Told(draft(None)), AT), Place::Renewal);
        let gone = Renewal::Told(Draft {
            status: "paid",
            ..draft(None)
        });
        assert_eq!(place(&all, &gone, AT), Place::Own);
        assert_eq!(place(&all, &Renewal::None, AT), Place::Own);
    }

    #[test]
    fn a_late_trifle_and_a_credit_wait_for_the_next_invoice() {
        let check = |owed: &[Owed], own: bool| {
            let place = place(owed, &Renewal::None, AT);
            assert_eq!(place == Place::Own, own, "{owed:?}: {place:?}");
        };
        check(&[owed(49, true)], false);
        check(&[owed(50, true)], true);
        check(&[owed(30, true), owed(20, true)], true);
        check(&[owed(49, true), owed(1, false)], true);
        check(&[owed(-300, true), owed(300, false)], false);
        check(&[owed(-300, true), owed(301, false)], true);
    }
}
