//! Numbers searched, ordered, given back and preferred, in the words of three kinds of clients: what they ask for is the
//! same, and is done in one place.

mod bare;
mod order;
mod phone_system;
mod release;
mod search;
mod subaccount;

pub use self::{bare::PhoneService, phone_system::PhoneSystem, subaccount::SubaccountNumbers};

use std::time::Duration;

use poem::http::StatusCode;
use sqlx::PgConnection;
use tollkeeper_jobs::telephony::e164::{E164, is_area_code};

use super::Shared;
use crate::{
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

/// 409, and when to come back.
fn not_yet(code: &'static str, message: &str) -> Problem {
    Problem {
        retry_after: Some(Duration::from_secs(5)),
        ..Problem::new(StatusCode::CONFLICT, code, message)
    }
}

impl Shared {
    /// The subaccount that works for this account; none where it is suspended.
    async fn working_subaccount(
        &self,
        conn: &mut PgConnection,
        account: &AccountId,
    ) -> sqlx::Result<Option<String>> {
        let telephony = overview::telephony(conn, account.as_str()).await?;
        let is_taken_away = |status: &str| ["suspended", "released"].contains(&status);
        let is_ordered = telephony.is_some_and(|telephony| !is_taken_away(&telephony.status));
        let subaccount = overview::subaccount(conn, account.as_str()).await?;
        Ok(subaccount
            .filter(|subaccount| is_ordered && subaccount.status == "active")
            .map(|subaccount| subaccount.subaccount_ref))
    }
}
