//! What becomes due when. An entry is a reminder only: whoever takes it out looks whether it still
//! holds, so nothing needs to be taken back.

use std::collections::BTreeSet;

use super::model::{Status, Subscription};

/// So long before its end a trial is announced to end; a shorter one at once.
const TRIAL_NOTICE: i64 = 3 * 24 * 60 * 60;
/// So long may the first payment take.
const INCOMPLETE_FOR: i64 = 23 * 60 * 60;

/// What time does, in the order in which it does it within one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A subscription's first payment did not come.
    Expiry,
    /// A trial is soon over.
    TrialNotice,
    /// A renewal is near.
    RenewalNotice,
    PeriodEnd,
    /// A draft is finalized.
    Finalization,
    /// An open invoice is charged.
    Collection,
}

/// When, what, and the id of the subscription or invoice.
pub type Agenda = BTreeSet<(i64, Happening, String)>;

/// What happens next to a subscription by itself. `notice` is how many seconds before its end a
/// period's renewal is announced; none for periods no longer than that.
pub fn next_of(subscription: &Subscription, notice: i64) -> Option<(i64, Happening)> {
    match subscription.status {
        Status::Incomplete => Some((subscription.created + INCOMPLETE_FOR, Happening::Expiry)),
        Status::Trialing if !subscription.trial_end_announced => {
            let at = subscription.period_end - TRIAL_NOTICE;
            Some((at.max(subscription.created), Happening::TrialNotice))
        }
        Status::Active | Status::PastDue => {
            let at = subscription.period_end - notice;
            let is_told = subscription.announced_end == Some(subscription.period_end);
            Some(if is_told || at <= subscription.period_start {
                (subscription.period_end, Happening::PeriodEnd)
            } else {
                (at, Happening::RenewalNotice)
            })
        }
        Status::Trialing | Status::Unpaid => Some((subscription.period_end, Happening::PeriodEnd)),
        Status::IncompleteExpired | Status::Paused | Status::Canceled => None,
    }
}
