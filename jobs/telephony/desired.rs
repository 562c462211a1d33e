//! Whether an account shall have telephony, from everything it subscribes to.

use chrono::{DateTime, TimeDelta, Utc};

use crate::stripe::Status;

/// One subscription, as far as telephony looks at it.
#[derive(Debug, Clone)]
pub struct Subscribed {
    pub status: Status,
    /// Whether its tier comes with telephony. None: no price of it was ever known.
    pub is_eligible: Option<bool>,
    pub past_due_since: Option<DateTime<Utc>>,
}

/// What an account's subscriptions say about its telephony, from weak to strong: the strongest
/// opinion of any subscription counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Nothing is said: there is none, or it was never paid.
    Unsaid,
    /// It ended, or its tier has no telephony.
    No,
    /// Payment is missing: what is there stays until then, nothing new is given.
    KeepUntil(DateTime<Utc>),
    /// Not understood: what is there stays, nothing new is given.
    Keep,
    Yes,
}

impl Wanted {
    /// Whether what an account has may stay as it is at this moment.
    pub fn may_stay(self, now: DateTime<Utc>) -> bool {
        match self {
            Wanted::No => false,
            Wanted::KeepUntil(until) => now < until,
            Wanted::Unsaid | Wanted::Keep | Wanted::Yes => true,
        }
    }
}

/// What all subscriptions together want.
pub fn wanted<'a>(
    subscriptions: impl IntoIterator<Item = &'a Subscribed>,
    past_due_grace: TimeDelta,
) -> Wanted {
    subscriptions
        .into_iter()
        .map(|subscription| opinion(subscription, past_due_grace))
        .max()
        .unwrap_or(Wanted::Unsaid)
}

fn opinion(subscription: &Subscribed, past_due_grace: TimeDelta) -> Wanted {
    match (&subscription.status, subscription.is_eligible) {
        (Status::Incomplete, _) => Wanted::Unsaid,
        (Status::Canceled | Status::Unpaid | Status::Paused | Status::IncompleteExpired, _) => {
            Wanted::No
        }
        (Status::Unknown(_), _) => Wanted::Keep,
        (Status::Active | Status::Trialing, Some(true)) => Wanted::Yes,
        (Status::PastDue, Some(true)) => match subscription.past_due_since {
            Some(since) => Wanted::KeepUntil(since + past_due_grace),
            None => Wanted::Keep,
        },
        (Status::Active | Status::Trialing | Status::PastDue, Some(false)) => Wanted::No,
        (Status::Active | Status::Trialing | Status::PastDue, None) => Wanted::Keep,
    }
}

/// Where an account's telephony stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Ordered, nothing done yet.
    Pending,
    Provisioning,
    Active,
    Suspended,
    /// A provider refused; an operator can have it tried again.
    Failed,
    Released,
}

impl Standing {
    pub const ALL: [Standing; 6] = [
        Standing::Pending,
        Standing::Provisioning,
        Standing::Active,
        Standing::Suspended,
        Standing::Failed,
        Standing::Released,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Pending => "pending",
            Standing::Provisioning => "provisioning",
            Standing::Active => "active",
            Standing::Suspended => "suspended",
            Standing::Failed => "failed",
            Standing::Released => "released",
        }
    }

    /// The standing stored under this name.
    pub fn parse(text: &str) -> Option<Standing> {
        Standing::ALL
            .into_iter()
            .find(|standing| standing.as_str() == text)
    }

    /// Whether provisioning steps may be taken: it is ordered, and not taken away again.
    pub fn is_ordered(self) -> bool {
        !matches!(self, Standing::Suspended | Standing::Released)
    }
}

/// What has to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Nothing,
    /// Order it anew.
    Order,
    /// It is ordered already: see that it goes on.
    GoOn,
    Reactivate,
    Suspend,
    SuspendAt(DateTime<Utc>),
}

/// The step from where telephony stands to what is wanted.
pub fn action(standing: Option<Standing>, wanted: Wanted) -> Action {
    use Standing::{Active, Failed, Pending, Provisioning, Released, Suspended};
    match (standing, wanted) {
        (None | Some(Released), Wanted::Yes) => Action::Order,
        (Some(Pending | Provisioning | Failed), Wanted::Yes) => Action::GoOn,
        (Some(Suspended), Wanted::Yes) => Action::Reactivate,
        (Some(Pending | Provisioning | Active | Failed), Wanted::No) => Action::Suspend,
        (Some(Pending | Provisioning | Active | Failed), Wanted::KeepUntil(until)) => {
            Action::SuspendAt(until)
        }
        _ => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subscribed(status: &str, is_eligible: Option<bool>) -> Subscribed {
        Subscribed {
            status: Status::from(status),
            is_eligible,
            past_due_since: Some(DateTime::UNIX_EPOCH),
        }
    }

    const GRACE: TimeDelta = TimeDelta::days(3);
    const KEPT: Wanted =
        Wanted::KeepUntil(DateTime::from_timestamp(3 * 86_400, 0).expect("an instant in range"));

    fn check(subscriptions: &[(&str, Option<bool>)], expected: Wanted) {
        let subscriptions: Vec<Subscribed> = subscriptions
            .iter()
            .map(|(status, is_eligible)| subscribed(status, *is_eligible))
            .collect();
        assert_eq!(wanted(&subscriptions, GRACE), expected, "{subscriptions:?}");
    }

    #[test]
    fn the_best_of_all_subscriptions_counts() {
        check(&[], Wanted::Unsaid);
        check(&[("incomplete", Some(true))], Wanted::Unsaid);
        check(&[("active", Some(true))], Wanted::Yes);
        check(&[("trialing", Some(true))], Wanted::Yes);
        check(&[("active", Some(false))], Wanted::No);
        check(&[("past_due", Some(true))], KEPT);
        for ended in ["canceled", "unpaid", "paused", "incomplete_expired"] {
            check(&[(ended, Some(true))], Wanted::No);
            check(&[(ended, Some(true)), ("active", Some(true))], Wanted::Yes);
        }
        check(
            &[("canceled", Some(true)), ("incomplete", Some(true))],
            Wanted::No,
        );
        check(&[("canceled", Some(true)), ("past_due", Some(true))], KEPT);
        check(&[("canceled", Some(true)), ("active", None)], Wanted::Keep);
        check(&[("hibernating", Some(true))], Wanted::Keep);
    }

    #[test]
    fn an_unpaid_sign_up_orders_nothing_and_takes_nothing_away() {
        for standing in Standing::ALL {
            assert_eq!(action(Some(standing), Wanted::Unsaid), Action::Nothing);
            assert_eq!(action(Some(standing), Wanted::Keep), Action::Nothing);
        }
        assert_eq!(action(None, Wanted::Unsaid), Action::Nothing);
        assert_eq!(action(None, Wanted::No), Action::Nothing);
    }

    #[test]
    fn a_return_inside_the_grace_time_reactivates_and_later_orders_anew() {
        assert_eq!(
            action(Some(Standing::Suspended), Wanted::Yes),
            Action::Reactivate
        );
        assert_eq!(action(Some(Standing::Released), Wanted::Yes), Action::Order);
        assert_eq!(action(Some(Standing::Active), Wanted::Yes), Action::Nothing);
    }

    proptest! {
        #[test]
        fn one_more_subscription_never_takes_telephony_away(
            statuses in prop::collection::vec((0..9usize, prop::option::of(any::<bool>())), 1..5),
        ) {
            let names = ["incomplete", "incomplete_expired", "trialing", "active", "past_due",
                         "canceled", "unpaid", "paused", "hibernating"];
            let all: Vec<Subscribed> =
                statuses.iter().map(|(name, eligible)| subscribed(names[*name], *eligible)).collect();
            let fewer = wanted(&all[1..], GRACE);
            prop_assert!(wanted(&all, GRACE) >= fewer);
        }
    }
}
