//! Buy an account the phone number its plan includes, once, and point it at us.
//!
//! Enqueued by `provision_subaccount` when the subaccount is there, and by `reactivate_telephony`.
//! Safe to run twice: the order is unique per account, the exact number is written down before it is
//! bought, and buying the same number again in the same subaccount changes nothing. It never buys by
//! area code, and never takes up another candidate while an earlier request is open.

use serde::{Deserialize, Serialize};

use crate::{
    Job, Lane, RetryPolicy, provision_subaccount::SubaccountStatus, telephony::desired::Standing,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionNumber {
    pub account_id: String,
}

impl Job for ProvisionNumber {
    const KIND: &'static str = "provision_number";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 50,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}

/// Where an order for a number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberStatus {
    /// No candidate yet.
    Ordered,
    /// The candidate is written down; it may be ours already.
    Buying,
    /// Ours; where it points is not known yet.
    Configuring,
    Active,
    Suspended,
    /// On its way back to the provider; it cannot be kept any more.
    Releasing,
    Released,
}

impl NumberStatus {
    pub const ALL: [NumberStatus; 7] = [
        NumberStatus::Ordered,
        NumberStatus::Buying,
        NumberStatus::Configuring,
        NumberStatus::Active,
        NumberStatus::Suspended,
        NumberStatus::Releasing,
        NumberStatus::Released,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            NumberStatus::Ordered => "ordered",
            NumberStatus::Buying => "buying",
            NumberStatus::Configuring => "configuring",
            NumberStatus::Active => "active",
            NumberStatus::Suspended => "suspended",
            NumberStatus::Releasing => "releasing",
            NumberStatus::Released => "released",
        }
    }

    /// The status stored under this name.
    pub fn parse(text: &str) -> Option<NumberStatus> {
        NumberStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// All the decision looks at, read under the account's lock.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// None: telephony was never ordered.
    pub standing: Option<Standing>,
    /// Whether what the account subscribes to lets it keep its telephony.
    pub may_stay: bool,
    pub subaccount: Option<SubaccountStatus>,
    /// Of the included number that is not released.
    pub number: Option<NumberStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Nothing(&'static str),
    /// The old number is on its way back; a new one is ordered when it is gone.
    WaitForRelease,
    Order,
    ChooseCandidate,
    Buy,
    Configure,
    /// Everything is there: say so.
    Finish,
}

/// The next step towards a working number.
pub fn decide(facts: &Facts) -> Plan {
    match facts.standing {
        None => return Plan::Nothing("no telephony was ordered"),
        Some(standing) if !standing.is_ordered() => {
            return Plan::Nothing("its telephony was taken away meanwhile");
        }
        Some(_) => {}
    }
    if !facts.may_stay {
        return Plan::Nothing("its subscription does not include telephony any more");
    }
    if facts.subaccount != Some(SubaccountStatus::Active) {
        return Plan::Nothing("its subaccount is not active; that step asks for this one");
    }
    match facts.number {
        None | Some(NumberStatus::Released) => Plan::Order,
        Some(NumberStatus::Releasing) => Plan::WaitForRelease,
        Some(NumberStatus::Ordered) => Plan::ChooseCandidate,
        Some(NumberStatus::Buying) => Plan::Buy,
        Some(NumberStatus::Configuring | NumberStatus::Suspended) => Plan::Configure,
        Some(NumberStatus::Active) if facts.standing == Some(Standing::Active) => {
            Plan::Nothing("its number is active already")
        }
        Some(NumberStatus::Active) => Plan::Finish,
    }
}

/// The candidate an order takes: the first one it was not refused, counted from a place of its own,
/// so that many orders at once do not all reach for the same number.
pub fn choose<'a>(offered: &'a [String], refused: &[String], luck: usize) -> Option<&'a str> {
    let open: Vec<&String> = offered
        .iter()
        .filter(|number| !refused.contains(number))
        .collect();
    open.get(luck.checked_rem(open.len())?)
        .map(|number| number.as_str())
}

/// Whether a refusal is about the candidate alone, so that another one may be tried.
pub fn is_about_the_candidate(code: &str) -> bool {
    matches!(
        code,
        "21401" | "21407" | "21421" | "21422" | "21451" | "21452" | "21457" | "21458"
    )
}

/// After so many refused candidates something else is wrong.
pub const CANDIDATES_MAX: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(number: Option<NumberStatus>) -> Facts {
        Facts {
            standing: Some(Standing::Provisioning),
            may_stay: true,
            subaccount: Some(SubaccountStatus::Active),
            number,
        }
    }

    #[test]
    fn each_state_of_an_order_has_one_next_step() {
        for (number, plan) in [
            (None, Plan::Order),
            (Some(NumberStatus::Ordered), Plan::ChooseCandidate),
            (Some(NumberStatus::Buying), Plan::Buy),
            (Some(NumberStatus::Configuring), Plan::Configure),
            (Some(NumberStatus::Suspended), Plan::Configure),
            (Some(NumberStatus::Active), Plan::Finish),
            (Some(NumberStatus::Releasing), Plan::WaitForRelease),
        ] {
            assert_eq!(decide(&facts(number)), plan);
        }
    }

    #[test]
    fn nothing_is_bought_for_who_may_not_have_it() {
        let is_nothing = |facts: Facts| matches!(decide(&facts), Plan::Nothing(_));
        for number in NumberStatus::ALL.map(Some).into_iter().chain([None]) {
            for standing in [None, Some(Standing::Suspended), Some(Standing::Released)] {
                assert!(is_nothing(Facts {
                    standing,
                    ..facts(number)
                }));
            }
            assert!(is_nothing(Facts {
                may_stay: false,
                ..facts(number)
            }));
            for subaccount in [
                None,
                Some(SubaccountStatus::Ordered),
                Some(SubaccountStatus::Suspended),
            ] {
                assert!(is_nothing(Facts {
                    subaccount,
                    ..facts(number)
                }));
            }
        }
    }

    #[test]
    fn a_refused_candidate_is_never_chosen_again() {
        let offered = ["+1", "+2", "+3"].map(str::to_owned);
        assert_eq!(choose(&offered, &["+1".into()], 0), Some("+2"));
        assert_eq!(choose(&offered, &["+1".into()], 3), Some("+3"));
        assert_eq!(choose(&offered, &offered, 7), None);
        assert_eq!(choose(&[], &[], 7), None);
    }
}
