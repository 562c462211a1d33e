//! The parent account and its subaccounts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Caller, Twilio, errors, listing};
use crate::sandbox::wire::{Reply, Request};

const FRIENDLY_NAME_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    Active,
    Suspended,
    Closed,
}

/// The parent or a subaccount.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    pub sid: String,
    #[serde(skip)]
    pub auth_token: String,
    pub owner_sid: String,
    pub friendly_name: String,
    pub status: AccountStatus,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Account {
    pub(super) fn parent(sid: &str, token: &str, now: DateTime<Utc>) -> Account {
        Account {
            sid: sid.to_owned(),
            auth_token: token.to_owned(),
            owner_sid: sid.to_owned(),
            friendly_name: "Sandbox".to_owned(),
            status: AccountStatus::Active,
            created_at: now,
            updated_at: now,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.status == AccountStatus::Active
    }

    /// As Twilio shows it, the token included.
    pub(super) fn json(&self) -> Value {
        let uri = format!("/2010-04-01/Accounts/{}", self.sid);
        json!({
            "sid": self.sid,
            "auth_token": self.auth_token,
            "owner_account_sid": self.owner_sid,
            "friendly_name": self.friendly_name,
            "status": self.status,
            "type": "Full",
            "date_created": self.created_at.to_rfc2822(),
            "date_updated": self.updated_at.to_rfc2822(),
            "uri": format!("{uri}.json"),
            "subresource_uris": {
                "incoming_phone_numbers": format!("{uri}/IncomingPhoneNumbers.json"),
                "available_phone_numbers": format!("{uri}/AvailablePhoneNumbers.json"),
                "calls": format!("{uri}/Calls.json"),
                "messages": format!("{uri}/Messages.json"),
            },
        })
    }
}

impl Twilio {
    pub(super) fn create_account(
        &mut self,
        caller: &Caller,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        if !matches!(caller, Caller::Parent) {
            return Err(errors::authenticate());
        }
        let name = request.params.get("FriendlyName");
        if name.is_some_and(|name| name.chars().count() > FRIENDLY_NAME_MAX) {
            return Err(errors::invalid_parameter(
                "FriendlyName is longer than 64 characters",
            ));
        }
        let living = self.accounts[1..]
            .iter()
            .filter(|account| account.status != AccountStatus::Closed);
        if living.count() >= self.subaccounts_max {
            return Err(errors::error(
                400,
                21480,
                "Reached maximum number of subaccounts",
            ));
        }
        let default_name = format!("SubAccount Created at {}", now.format("%Y-%m-%d %I:%M %P"));
        let account = Account {
            sid: self.new_sid("AC"),
            auth_token: self.new_sid(""),
            owner_sid: self.parent_sid.clone(),
            friendly_name: name.map_or(default_name, str::to_owned),
            status: AccountStatus::Active,
            created_at: now,
            updated_at: now,
        };
        let reply = Reply::done(201, account.json());
        self.accounts.push(account);
        Ok(reply)
    }

    pub(super) fn list_accounts(&self, caller: &Caller, request: &Request) -> Result<Reply, Reply> {
        let is_visible = |account: &Account| match caller {
            Caller::Parent => true,
            Caller::Subaccount(own) => account.sid == *own,
        };
        let name = request.params.get("FriendlyName");
        let status = request.params.get("Status");
        let rows = self.accounts.iter().rev().filter(|account| {
            is_visible(account)
                && name.is_none_or(|name| account.friendly_name == name)
                && status.is_none_or(|status| json!(account.status) == status)
        });
        Ok(listing::page(
            request,
            "accounts",
            rows.map(Account::json).collect(),
        ))
    }

    /// Name and status. Only the parent sets a status; closing is for ever and releases the numbers.
    pub(super) fn update_account(
        &mut self,
        caller: &Caller,
        position: usize,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        if let Some(wanted) = request.params.get("Status") {
            if !matches!(caller, Caller::Parent) {
                return Err(errors::authenticate());
            }
            let wanted: AccountStatus = serde_json::from_value(json!(wanted))
                .map_err(|_| errors::invalid_parameter("Invalid Status"))?;
            if position == 0 {
                return Err(errors::invalid_parameter(
                    "The main account cannot be suspended or closed",
                ));
            }
            let account = &mut self.accounts[position];
            if account.status == AccountStatus::Closed && wanted != AccountStatus::Closed {
                return Err(errors::not_active());
            }
            account.status = wanted;
            if wanted == AccountStatus::Closed {
                let sid = account.sid.clone();
                self.numbers.retain(|number| number.account_sid != sid);
            }
        }
        let account = &mut self.accounts[position];
        if let Some(name) = request.params.get("FriendlyName") {
            account.friendly_name = name.to_owned();
        }
        account.updated_at = now;
        Ok(Reply::done(200, account.json()))
    }
}
