//! Give an account its own Twilio subaccount, once.
//!
//! Enqueued by `sync_subscription` when a plan with telephony is active, by `reactivate_telephony`, and by the
//! API. Safe to run twice: the order's row is unique per account, the subaccount carries the account in its name, and
//! the journal looks for that name before it asks for another one. It never closes a subaccount.

use serde::{Deserialize, Serialize};

use crate::{Job, Lane, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionSubaccount {
    pub account_id: String,
}

impl Job for ProvisionSubaccount {
    const KIND: &'static str = "provision_subaccount";
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

/// Where an account's subaccount stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubaccountStatus {
    /// Wanted, and not known to exist.
    Ordered,
    Active,
    Suspended,
    Closed,
}

impl SubaccountStatus {
    pub const ALL: [SubaccountStatus; 4] = [
        SubaccountStatus::Ordered,
        SubaccountStatus::Active,
        SubaccountStatus::Suspended,
        SubaccountStatus::Closed,
    ];

    /// As stored, and, all but `ordered`, as Twilio writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            SubaccountStatus::Ordered => "ordered",
            SubaccountStatus::Active => "active",
            SubaccountStatus::Suspended => "suspended",
            SubaccountStatus::Closed => "closed",
        }
    }

    /// The status stored under this name.
    pub fn parse(text: &str) -> Option<SubaccountStatus> {
        SubaccountStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// The longest `FriendlyName` Twilio takes.
const NAME_MAX: usize = 64;

/// The name that tells a subaccount as ours, from the account's id; `digest` is the hexadecimal
/// SHA-256 of the id, used where the id does not fit.
pub fn friendly_name(account_id: &str, digest: &str) -> String {
    let plain = format!("acct:{account_id}");
    let is_plain = plain.len() <= NAME_MAX
        && !account_id.starts_with('#')
        && account_id.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain {
        return plain;
    }
    // `#` keeps a digest apart from an id that looks like one: an id that begins so has a digest too.
    format!("acct:#{}", &digest[..NAME_MAX - 6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_and_tells_accounts_apart() {
        let digest = "0123456789abcdef".repeat(4);
        assert_eq!(friendly_name("user_42", &digest), "acct:user_42");
        for id in [
            "x".repeat(60),
            "zoë".to_owned(),
            "a b".to_owned(),
            format!("#{}", &digest[..58]),
        ] {
            let name = friendly_name(&id, &digest);
            assert!(
                name.starts_with("acct:#0123") && name.len() == NAME_MAX,
                "{name}"
            );
        }
        assert_eq!(friendly_name(&"x".repeat(59), &digest).len(), NAME_MAX);
    }
}
