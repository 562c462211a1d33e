//! Buy an account a phone number, once, and point it at us: the one its plan includes, or one more.
//!
//! Enqueued by `provision_subaccount` when the subaccount is there, and for one more number with the order that an app
//! stored; by `sweep_provider_resources` for a number that was bought elsewhere. Safe to run twice: the included number
//! is unique per account, the exact number is written down before it is bought, and buying the same number again in the
//! same subaccount changes nothing. It never buys by area code, never takes up another candidate while an earlier
//! request is open, and never buys another number in the place of one that was named.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Job, Lane, RetryPolicy,
    provision_subaccount::SubaccountStatus,
    telephony::{desired::Standing, outbound::Carrier},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionNumber {
    pub account_id: String,
    /// The order for one more number. None: the number that the plan includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_id: Option<Uuid>,
}

impl ProvisionNumber {
    /// The number that the plan includes.
    pub fn included(account_id: &str) -> ProvisionNumber {
        ProvisionNumber {
            account_id: account_id.to_owned(),
            number_id: None,
        }
    }

    /// One more number, by its order.
    pub fn additional(account_id: &str, number_id: Uuid) -> ProvisionNumber {
        ProvisionNumber {
            account_id: account_id.to_owned(),
            number_id: Some(number_id),
        }
    }
}

impl Job for ProvisionNumber {
    const KIND: &'static str = "provision_number";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 50,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        match self.number_id {
            None => self.account_id.clone(),
            Some(number_id) => number_id.to_string(),
        }
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
    /// Where the number is.
    pub carrier: Carrier,
    pub subaccount: Option<SubaccountStatus>,
    pub which: Which,
    /// Of the included number that is not released; of one more whatever it is.
    pub number: Option<NumberStatus>,
}

/// Which number of its account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Included {
        /// Its user gave it back, or wanted a certain one: no other is ordered until they ask for it.
        is_on_demand: bool,
    },
    /// There is an order for it, or it was found: without that there is nothing to do.
    Additional,
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
    let is_at_home = facts.subaccount == Some(SubaccountStatus::Active);
    if facts.carrier == Carrier::Twilio && !is_at_home {
        return Plan::Nothing("its subaccount is not active; that step asks for this one");
    }
    use NumberStatus::{Active, Buying, Configuring, Ordered, Released, Releasing, Suspended};
    let is_finished = facts.standing == Some(Standing::Active);
    match (facts.number, facts.which) {
        (None | Some(Released), Which::Additional) => Plan::Nothing("its order is closed"),
        (Some(Releasing), Which::Additional) => Plan::Nothing("it is on its way back"),
        (Some(Active), Which::Additional) => Plan::Finish,
        (None | Some(Released | Releasing), Which::Included { is_on_demand: true }) => {
            match is_finished {
                true => Plan::Nothing("its user wants no other number"),
                false => Plan::Finish,
            }
        }
        (None | Some(Released), Which::Included { .. }) => Plan::Order,
        (Some(Releasing), Which::Included { .. }) => Plan::WaitForRelease,
        (Some(Ordered), _) => Plan::ChooseCandidate,
        (Some(Buying), _) => Plan::Buy,
        (Some(Configuring | Suspended), _) => Plan::Configure,
        (Some(Active), _) if is_finished => Plan::Nothing("its number is active already"),
        (Some(Active), _) => Plan::Finish,
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
    ) || matches!(
        code,
        DID_IN_USE | "invalid_did" | "no_did" | "unsifficient_stock"
    )
}

/// VoIP.ms' word for a number that is somebody's already.
pub const DID_IN_USE: &str = "did_in_use";

/// Why an order came to nothing when there was no number where it wanted one; else it is the provider's code.
pub const NONE_ON_SALE: &str = "none_on_sale";

/// After so many refused candidates something else is wrong.
pub const CANDIDATES_MAX: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(number: Option<NumberStatus>) -> Facts {
        Facts {
            standing: Some(Standing::Provisioning),
            may_stay: true,
            carrier: Carrier::Twilio,
            subaccount: Some(SubaccountStatus::Active),
            which: Which::Included {
                is_on_demand: false,
            },
            number,
        }
    }

    fn additional(number: Option<NumberStatus>) -> Facts {
        Facts {
            standing: Some(Standing::Active),
            which: Which::Additional,
            ..facts(number)
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
    fn one_more_number_is_bought_by_its_order_and_never_for_the_lack_of_one() {
        for (number, plan) in [
            (NumberStatus::Ordered, Plan::ChooseCandidate),
            (NumberStatus::Buying, Plan::Buy),
            (NumberStatus::Configuring, Plan::Configure),
            (NumberStatus::Suspended, Plan::Configure),
            (NumberStatus::Active, Plan::Finish),
        ] {
            assert_eq!(decide(&additional(Some(number))), plan);
        }
        for number in [
            None,
            Some(NumberStatus::Releasing),
            Some(NumberStatus::Released),
        ] {
            assert!(matches!(decide(&additional(number)), Plan::Nothing(_)));
        }
    }

    #[test]
    fn who_gave_the_included_number_back_is_bought_no_other() {
        for number in [
            None,
            Some(NumberStatus::Releasing),
            Some(NumberStatus::Released),
        ] {
            let given_back = Facts {
                which: Which::Included { is_on_demand: true },
                ..facts(number)
            };
            // Their telephony is complete without it.
            assert_eq!(decide(&given_back), Plan::Finish);
            let finished = Facts {
                standing: Some(Standing::Active),
                ..given_back
            };
            assert!(matches!(decide(&finished), Plan::Nothing(_)));
        }
        let asked_again = Facts {
            which: Which::Included { is_on_demand: true },
            ..facts(Some(NumberStatus::Ordered))
        };
        assert_eq!(decide(&asked_again), Plan::ChooseCandidate);
    }

    #[test]
    fn an_order_of_the_included_number_is_stored_as_it_always_was() {
        let old: ProvisionNumber = serde_json::from_str(r#"{"account_id":"ann"}"#).unwrap();
        assert_eq!(old, ProvisionNumber::included("ann"));
        assert_eq!(old.key(), "ann");
        assert_eq!(
            serde_json::to_string(&old).unwrap(),
            r#"{"account_id":"ann"}"#
        );
        let id = Uuid::from_u128(7);
        assert_eq!(ProvisionNumber::additional("ann", id).key(), id.to_string());
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
            // At VoIP.ms nobody has a subaccount, and who may not have a number at Twilio has none there either.
            let elsewhere = Facts {
                carrier: Carrier::Voipms,
                subaccount: None,
                ..additional(number)
            };
            assert_eq!(decide(&elsewhere), decide(&additional(number)));
            assert!(is_nothing(Facts {
                standing: Some(Standing::Suspended),
                ..elsewhere
            }));
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
