//! How much each caller may ask of the API.
//!
//! There is a budget for each asker and each account asked about: a user has one, a key of an app has
//! one for every user it names, so that an app's whole traffic is not squeezed into one user's. The
//! budgets are in this process' memory: N processes together let N times as much through, and a
//! restart fills every budget. They keep one caller from taking the service away from the others;
//! they are no bill.
//!
//! Webhooks, health checks and the documentation have no caller and are not counted.

mod budget;
mod tally;

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use self::budget::Budgets;
pub use self::tally::Tally;
use super::auth::{AccountId, Principal};
use crate::config::RateLimitConfig;

const HOUR: Duration = Duration::from_secs(3600);

/// A kind of request with a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Every request.
    Api,
    /// What orders telephony, besides.
    Phone,
    /// What asks about bills, besides.
    Billing,
}

impl Class {
    pub const ALL: [Class; 3] = [Class::Api, Class::Phone, Class::Billing];

    /// As headers and figures name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Api => "api",
            Class::Phone => "phone",
            Class::Billing => "billing",
        }
    }
}

/// Every budget of this process. By default there is no limit.
#[derive(Default)]
pub struct RateLimits {
    api: Option<Budgets>,
    phone: Option<Budgets>,
    billing: Option<Budgets>,
    hasher: RandomState,
}

impl RateLimits {
    pub fn new(config: &RateLimitConfig) -> RateLimits {
        RateLimits {
            api: Budgets::new(config.requests_max, config.window),
            phone: Budgets::new(config.phone_per_hour_max, HOUR),
            billing: Budgets::new(config.billing_per_hour_max, HOUR),
            hasher: RandomState::new(),
        }
    }

    fn of(&self, class: Class) -> Option<&Budgets> {
        match class {
            Class::Api => self.api.as_ref(),
            Class::Phone => self.phone.as_ref(),
            Class::Billing => self.billing.as_ref(),
        }
    }

    /// Whose budget it is: a hash with a secret of this process, so that a budget takes a few bytes
    /// however long the ids are. Nobody can aim at another's, and among a million budgets the chance
    /// that any two are one is 1 in 30 million.
    fn key(&self, principal: &Principal, account: Option<&AccountId>) -> u64 {
        match principal {
            Principal::User { account_id, .. } => self.hasher.hash_one((0_u8, account_id.as_str())),
            Principal::Service { key_id, .. } => {
                let account = account.map(AccountId::as_str);
                self.hasher.hash_one((1_u8, key_id.as_bytes(), account))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn account(id: &str) -> AccountId {
        AccountId::parse(id).unwrap()
    }

    fn user(id: &str) -> Principal {
        let account_id = account(id);
        Principal::User {
            account_id,
            email: None,
        }
    }

    fn app(number: u128) -> Principal {
        Principal::Service {
            app: "crm".to_owned(),
            key_id: Uuid::from_u128(number),
            scopes: Vec::new(),
        }
    }

    #[test]
    fn a_user_has_one_budget_and_an_app_one_for_each_account() {
        let limits = RateLimits::default();
        let key =
            |principal, about: Option<&str>| limits.key(&principal, about.map(account).as_ref());

        assert_eq!(key(user("a"), None), key(user("a"), Some("a")));
        let all = [
            key(user("a"), None),
            key(user("b"), None),
            key(app(1), None),
            key(app(1), Some("a")),
            key(app(1), Some("b")),
            key(app(2), None),
            key(app(2), Some("a")),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{at}");
        }
    }
}
