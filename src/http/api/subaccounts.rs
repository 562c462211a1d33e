//! `/api/twilio/*`: a user's subaccount at Twilio and the numbers in it.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Query},
    payload::Json,
};
use serde_json::Value;

use super::{
    Shared, Tag,
    envelope::{FlatProblem, Refused},
    links,
    provision::Standing,
    subscriptions::{check_idempotency_key, invalid_tier},
};
use crate::{
    db::overview::{self, PhoneNumber, Subaccount},
    http::{
        auth::{AccountId, Caller, Scope},
        problem::{Problem, timestamp},
    },
};

pub struct Subaccounts(pub(super) Arc<Shared>);

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct SubaccountOrder {
    /// Always true.
    success: bool,
    /// `AC…`, once it is there.
    subaccount_sid: Option<String>,
    friendly_name: Option<String>,
    message: String,
    /// `provisioning` while it takes longer than the request may.
    status: Option<String>,
    provisioned: bool,
}

#[derive(ApiResponse)]
enum SubaccountAnswer {
    /// The subaccount is there.
    #[oai(status = 200)]
    Active(Json<SubaccountOrder>),
    /// It is ordered and will be done; it takes longer than this request may.
    #[oai(status = 202)]
    UnderWay(
        Json<SubaccountOrder>,
        /// Where to ask how it went on.
        #[oai(header = "Location")]
        String,
        /// In seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct SubaccountStanding {
    has_subaccount: bool,
    /// `AC…`
    subaccount_sid: Option<String>,
    /// active, suspended or closed.
    status: Option<String>,
    friendly_name: Option<String>,
    created_at: Option<String>,
}

#[derive(Debug, Object)]
struct Numbers {
    /// Always true.
    success: bool,
    /// The primary one first; empty when the user has none.
    numbers: Vec<Number>,
}

/// A number in use.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Number {
    id: String,
    user_id: String,
    /// E.164.
    phone_number: String,
    /// `PN…`
    phone_sid: String,
    friendly_name: Option<String>,
    capabilities: Capabilities,
    is_primary: bool,
    status: String,
    purchased_at: Option<String>,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, PartialEq, Eq, Object)]
struct Capabilities {
    voice: bool,
    sms: bool,
    mms: bool,
}

#[OpenApi(prefix_path = "/twilio", tag = "Tag::Telephony")]
impl Subaccounts {
    /// Give a user a Twilio subaccount, and with it a phone number
    ///
    /// Waits some seconds for the subaccount; when that takes longer, answers 202.
    #[oai(
        path = "/subaccount/provision",
        method = "post",
        operation_id = "provisionSubaccount"
    )]
    async fn provision(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Accepted on everything that costs. A user has at most one subaccount with and without it.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<SubaccountAnswer, Refused<FlatProblem>> {
        let shared = &self.0;
        let account = account(&caller, Scope::TelephonyWrite, user_id.as_deref())?;
        check_idempotency_key(idempotency_key.as_deref())?;

        let mut tx = shared.begin(&account).await?;
        if !overview::has_account(&mut tx, account.as_str()).await? {
            return Err(Problem::not_found("User not found").into());
        }
        if shared
            .standing(&mut tx, &account)
            .await?
            .subaccount
            .is_some()
        {
            let message = "User already has a Twilio subaccount";
            return Err(Problem::bad_request("SUBACCOUNT_EXISTS", message).into());
        }
        shared
            .eligibility(&mut tx, &account)
            .await?
            .map_err(invalid_tier)?;
        shared
            .order_telephony(&mut tx, &account, None, None)
            .await?;
        tx.commit().await?;
        shared.wake.ring();

        let standing = shared
            .wait(&account, |standing| standing.active_subaccount().is_some())
            .await?;
        Ok(answer(&account, &standing)?)
    }

    /// Whether a user has a Twilio subaccount
    #[oai(
        path = "/subaccount/provision",
        method = "get",
        operation_id = "subaccount"
    )]
    async fn subaccount(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<SubaccountStanding>, Refused<FlatProblem>> {
        let account = account(&caller, Scope::TelephonyRead, user_id.as_deref())?;

        let mut tx = self.0.begin(&account).await?;
        let found = overview::subaccount(&mut tx, account.as_str()).await?;

        Ok(Json(standing(found)))
    }

    /// A user's numbers
    #[oai(path = "/numbers", method = "get", operation_id = "numbers")]
    async fn numbers(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<Numbers>, Refused<FlatProblem>> {
        let account = account(&caller, Scope::TelephonyRead, user_id.as_deref())?;

        let mut tx = self.0.begin(&account).await?;
        let rows = overview::active_numbers(&mut tx, account.as_str()).await?;

        Ok(Json(Numbers {
            success: true,
            numbers: rows.into_iter().map(number).collect(),
        }))
    }
}

fn account(caller: &Caller, scope: Scope, named: Option<&str>) -> Result<AccountId, Problem> {
    caller.account(scope, named, || {
        Problem::bad_request("MISSING_PARAMETER", "userId is required")
    })
}

fn answer(account: &AccountId, standing: &Standing) -> Result<SubaccountAnswer, Problem> {
    if let Some(found) = standing.active_subaccount() {
        return Ok(SubaccountAnswer::Active(Json(SubaccountOrder {
            success: true,
            subaccount_sid: Some(found.subaccount_ref.clone()),
            friendly_name: Some(found.friendly_name.clone()),
            message: "Twilio subaccount created successfully".to_owned(),
            status: None,
            provisioned: true,
        })));
    }
    if let Some(failure) = standing.failure() {
        return Err(failure);
    }
    let order = SubaccountOrder {
        success: true,
        subaccount_sid: None,
        friendly_name: None,
        message: "Twilio provisioning is under way".to_owned(),
        status: Some("provisioning".to_owned()),
        provisioned: false,
    };
    let ask_at = links::subaccount(account);
    Ok(SubaccountAnswer::UnderWay(Json(order), ask_at, 5))
}

fn standing(found: Option<Subaccount>) -> SubaccountStanding {
    let has_subaccount = found.is_some();
    let (subaccount_sid, status, friendly_name, created_at) = match found {
        Some(found) => (
            Some(found.subaccount_ref),
            Some(found.status),
            Some(found.friendly_name),
            Some(timestamp(found.created_at)),
        ),
        None => (None, None, None, None),
    };
    SubaccountStanding {
        has_subaccount,
        subaccount_sid,
        status,
        friendly_name,
        created_at,
    }
}

fn number(row: PhoneNumber) -> Number {
    Number {
        id: row.id.to_string(),
        user_id: row.account_id,
        phone_number: row.phone_number,
        phone_sid: row.number_ref,
        friendly_name: row.friendly_name,
        capabilities: capabilities(row.capabilities.as_ref()),
        is_primary: row.is_primary,
        status: row.status,
        purchased_at: row.purchased_at.map(timestamp),
        created_at: timestamp(row.created_at),
        updated_at: timestamp(row.updated_at),
    }
}

/// Twilio writes `voice`, `SMS` and `MMS`, and in other places all of them small.
fn capabilities(stored: Option<&Value>) -> Capabilities {
    let has = |name: &str| {
        stored
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .any(|(key, value)| key.eq_ignore_ascii_case(name) && value == &Value::Bool(true))
    };
    Capabilities {
        voice: has("voice"),
        sms: has("sms"),
        mms: has("mms"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn capabilities_read_in_either_spelling() {
        let all = Capabilities {
            voice: true,
            sms: true,
            mms: true,
        };
        let none = Capabilities {
            voice: false,
            sms: false,
            mms: false,
        };

        assert_eq!(
            capabilities(Some(&json!({ "voice": true, "SMS": true, "MMS": true }))),
            all
        );
        assert_eq!(
            capabilities(Some(&json!({ "voice": true, "sms": true, "mms": true }))),
            all
        );
        assert_eq!(
            capabilities(Some(&json!({ "voice": "yes", "sms": false }))),
            none
        );
        assert_eq!(capabilities(None), none);
    }
}
