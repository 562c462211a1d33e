//! Numbers searched, ordered, given back and preferred, in the words of three kinds of clients: what they ask for is the
//! same, and is done in one place.

mod bare;
mod details;
mod order;
mod phone_system;
mod release;
mod search;
mod subaccount;

pub use self::{bare::PhoneService, phone_system::PhoneSystem, subaccount::SubaccountNumbers};

use std::time::Duration;

use poem::http::StatusCode;
use sqlx::PgConnection;
use tollkeeper_jobs::telephony::{
    e164::{E164, is_area_code},
    outbound::Carrier,
};

use super::Shared;
use crate::{
    clients::voipms::Voipms,
    db::overview,
    http::{
        auth::{AccountId, Caller, Scope},
        problem::Problem,
    },
};

/// Whose number it is about.
fn account(caller: &Caller, scope: Scope, named: Option<&str>) -> Result<AccountId, Problem> {
    caller.account(scope, named, || {
        Problem::bad_request("MISSING_PARAMETER", "userId is required")
    })
}

/// A number in any usual form, as E.164.
fn number(text: &str) -> Result<E164, Problem> {
    E164::as_written(text)
        .map_err(|why| Problem::bad_request("INVALID_PHONE_NUMBER", why.to_string()))
}

/// Who sells the number; Twilio, where nothing is said.
fn carrier(named: Option<&str>) -> Result<Carrier, Problem> {
    let named = named.filter(|name| !name.is_empty());
    let carrier = named.map_or(Some(Carrier::Twilio), Carrier::named);
    carrier.ok_or_else(|| Problem::bad_request("INVALID_PROVIDER", "provider is twilio or voipms"))
}

/// What names one of the user's numbers: its id, its SID or its digits. 404 for what names none.
fn name(text: String) -> Result<String, Problem> {
    match text.chars().any(char::is_control) {
        true => Err(not_found()),
        false => Ok(text),
    }
}

fn not_found() -> Problem {
    Problem::not_found("Phone number not found")
}

/// Three digits.
fn area_code(code: Option<String>) -> Result<Option<String>, Problem> {
    let code = code.filter(|code| !code.is_empty());
    if !code.as_deref().is_none_or(is_area_code) {
        return Err(Problem::bad_request(
            "INVALID_AREA_CODE",
            "An area code is three digits",
        ));
    }
    Ok(code)
}

/// Nobody buys or looks for numbers without a plan that has telephony, paid for.
fn unpaid(what: &str) -> Problem {
    Problem::forbidden(
        "SUBSCRIPTION_REQUIRED",
        format!("Phone {what} requires a paid subscription"),
    )
}

fn no_subaccount() -> Problem {
    Problem::forbidden(
        "NO_SUBACCOUNT",
        "No Twilio subaccount found. Please contact support.",
    )
}

/// What a person has to set before anything is done at VoIP.ms.
fn voipms_not_set(setting: &str) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "VOIPMS_NOT_CONFIGURED",
        format!("VoIP.ms is not configured: set {setting}"),
    )
}

fn suspended() -> Problem {
    Problem::forbidden("TELEPHONY_SUSPENDED", "The user's telephony is not active")
}

/// 409, and when to come back.
fn not_yet(code: &'static str, message: &str) -> Problem {
    Problem {
        retry_after: Some(Duration::from_secs(5)),
        ..Problem::new(StatusCode::CONFLICT, code, message)
    }
}

impl Shared {
    /// Whether the account's telephony is ordered, and not taken away.
    async fn is_ordered(&self, conn: &mut PgConnection, account: &AccountId) -> sqlx::Result<bool> {
        let telephony = overview::telephony(conn, account.as_str()).await?;
        let is_taken_away = |status: &str| ["suspended", "released"].contains(&status);
        Ok(telephony.is_some_and(|telephony| !is_taken_away(&telephony.status)))
    }

    /// 403 for who may have no number there now.
    async fn may_have_numbers(
        &self,
        conn: &mut PgConnection,
        account: &AccountId,
        carrier: Carrier,
    ) -> Result<(), Problem> {
        match carrier {
            Carrier::Twilio => {
                let subaccount = self.working_subaccount(conn, account).await?;
                subaccount.map(|_| ()).ok_or_else(no_subaccount)
            }
            Carrier::Voipms if self.is_ordered(conn, account).await? => Ok(()),
            Carrier::Voipms => Err(suspended()),
        }
    }

    /// VoIP.ms, to be asked what it has.
    fn at_voipms(&self) -> Result<&Voipms, Problem> {
        let not_set = || voipms_not_set("VOIPMS_USERNAME and VOIPMS_API_PASSWORD");
        self.voipms.as_ref().ok_or_else(not_set)
    }

    /// The subaccount that works for this account; none where it is suspended.
    async fn working_subaccount(
        &self,
        conn: &mut PgConnection,
        account: &AccountId,
    ) -> sqlx::Result<Option<String>> {
        let is_ordered = self.is_ordered(conn, account).await?;
        let subaccount = overview::subaccount(conn, account.as_str()).await?;
        Ok(subaccount
            .filter(|subaccount| is_ordered && subaccount.status == "active")
            .map(|subaccount| subaccount.subaccount_ref))
    }
}
