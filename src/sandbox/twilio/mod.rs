//! A Twilio: accounts with subaccounts, a finite stock of phone numbers, the numbers bought, and what was called,
//! recorded and written.

mod accounts;
pub(super) mod errors;
mod listing;
mod numbers;
mod outbound;
mod phone_log;
mod recordings;
mod stock;
mod telling;
mod usage;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};

pub(super) use self::telling::Callback;
pub use self::{
    accounts::{Account, AccountStatus},
    numbers::{Number, Purchase},
    phone_log::{PhoneCall, PhoneMessage},
    recordings::Recording,
    stock::Stock,
};
use super::wire::{Reply, Request};

/// Who asks.
enum Caller {
    /// The parent account: may do everything, on its subaccounts too.
    Parent,
    /// A subaccount with its own credentials: sees itself only.
    Subaccount(String),
}

pub(super) struct Twilio {
    parent_sid: String,
    stock: Stock,
    subaccounts_max: usize,
    dice: StdRng,
    /// The parent first, then its subaccounts as they were made.
    accounts: Vec<Account>,
    /// The numbers owned now, as they were bought.
    numbers: Vec<Number>,
    purchases: Vec<Purchase>,
    calls: Vec<PhoneCall>,
    messages: Vec<PhoneMessage>,
    recordings: Vec<Recording>,
    /// The deleted ones too: who has the audio hears what it says.
    heard: Vec<Recording>,
}

impl Twilio {
    pub fn new(
        seed: u64,
        sid: &str,
        token: &str,
        stock: Stock,
        subaccounts_max: usize,
        now: DateTime<Utc>,
    ) -> Twilio {
        Twilio {
            parent_sid: sid.to_owned(),
            stock,
            subaccounts_max,
            dice: StdRng::seed_from_u64(seed),
            accounts: vec![Account::parent(sid, token, now)],
            numbers: Vec::new(),
            purchases: Vec::new(),
            calls: Vec::new(),
            messages: Vec::new(),
            recordings: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Check who asks, and answer.
    pub fn answer(&mut self, request: &Request, now: DateTime<Utc>) -> Reply {
        let path = request.path.trim_end_matches(".json");
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let outcome = match segments.as_slice() {
            ["2010-04-01", rest @ ..] => self.route(request, rest, now),
            _ => Err(errors::not_found(&request.path)),
        };
        outcome.unwrap_or_else(|refusal| refusal)
    }

    fn route(
        &mut self,
        request: &Request,
        segments: &[&str],
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        let caller = self.caller(request)?;
        let method = request.method.as_str();
        let [collection, rest @ ..] = segments else {
            return Err(errors::not_found(&request.path));
        };
        if *collection != "Accounts" {
            return Err(errors::not_found(&request.path));
        }
        let [sid, rest @ ..] = rest else {
            return match method {
                "GET" => self.list_accounts(&caller, request),
                "POST" => self.create_account(&caller, request, now),
                _ => Err(errors::not_found(&request.path)),
            };
        };
        let account = self.reach(&caller, sid, request)?;
        match (method, rest) {
            ("GET", []) => Ok(Reply::done(200, self.accounts[account].json())),
            ("POST", []) => self.update_account(&caller, account, request, now),
            (
                "GET",
                [
                    "AvailablePhoneNumbers",
                    country,
                    kind @ ("Local" | "TollFree"),
                ],
            ) => self.search(account, country, kind, request),
            ("GET", ["Calls"]) => self.list_calls(account, request, now),
            ("POST", ["Calls"]) => self.make_call(account, request, now),
            ("POST", ["Messages"]) => self.send_message(account, request, now),
            ("GET", ["Messages"]) => self.list_messages(account, request, now),
            ("GET", ["Usage", "Records", "Daily"]) => self.daily_usage(account, request, now),
            ("GET", ["Recordings"]) => self.list_recordings(account, request),
            (method, ["Recordings", name]) => self.one_recording(method, account, name, request),
            ("GET", ["IncomingPhoneNumbers"]) => self.list_numbers(account, request),
            ("POST", ["IncomingPhoneNumbers"]) => self.buy_number(account, request, now),
            (method, ["IncomingPhoneNumbers", number]) => {
                self.one_number(method, account, number, request, now)
            }
            _ => Err(errors::not_found(&request.path)),
        }
    }

    /// By Basic authentication: an account's SID and its token.
    fn caller(&self, request: &Request) -> Result<Caller, Reply> {
        let credentials = request
            .authorization
            .as_deref()
            .and_then(|header| header.strip_prefix("Basic "))
            .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(errors::authenticate)?;
        let (sid, token) = credentials
            .split_once(':')
            .ok_or_else(errors::authenticate)?;
        let account = self
            .accounts
            .iter()
            .find(|account| account.sid == sid && account.auth_token == token);
        match account {
            None => Err(errors::authenticate()),
            Some(account) if account.sid == self.parent_sid => Ok(Caller::Parent),
            Some(account) => Ok(Caller::Subaccount(account.sid.clone())),
        }
    }

    /// The account a URL names, if the caller may name it. A suspended or closed one still answers
    /// its parent, who must be able to look at it, tidy it up and bring it back.
    fn reach(&self, caller: &Caller, sid: &str, request: &Request) -> Result<usize, Reply> {
        let position = self.accounts.iter().position(|account| account.sid == sid);
        let position = position.ok_or_else(|| errors::not_found(&request.path))?;
        match caller {
            Caller::Parent => Ok(position),
            Caller::Subaccount(own) if own != sid => Err(errors::authenticate()),
            Caller::Subaccount(_) if self.accounts[position].is_active() => Ok(position),
            Caller::Subaccount(_) => Err(errors::not_active()),
        }
    }

    /// Every answer has an id of its own.
    pub fn with_request_id(&mut self, reply: Reply) -> Reply {
        let id = self.new_sid("RQ");
        reply.with_header("Twilio-Request-Id", id)
    }

    /// Thirty-two hexadecimal digits behind two letters.
    fn new_sid(&mut self, letters: &str) -> String {
        format!("{letters}{:032x}", self.dice.random::<u128>())
    }

    /// All but the parent, in the order they were made.
    pub fn subaccounts(&self) -> Vec<Account> {
        self.accounts[1..].to_vec()
    }

    /// Somebody makes the second token of a subaccount its first. The new one; none where there is no such subaccount.
    pub fn promote_token(&mut self, subaccount_sid: &str) -> Option<String> {
        let token = self.new_sid("");
        let mut accounts = self.accounts.iter_mut();
        let account = accounts.find(|account| account.sid == subaccount_sid)?;
        account.auth_token.clone_from(&token);
        Some(token)
    }

    /// The numbers owned now.
    pub fn numbers(&self) -> Vec<Number> {
        self.numbers.clone()
    }

    /// Every purchase there ever was, those of released numbers too.
    pub fn purchases(&self) -> Vec<Purchase> {
        self.purchases.clone()
    }
}
