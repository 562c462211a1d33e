//! `/api/twilio/*`: a user's subaccount at Twilio and the numbers in it.

use std::sync::Arc;

use super::{
    Shared, Tag,
    envelope::{FlatProblem, Refused},
    links,
    number_view::Numbers,
    provision::Standing,
    provision_twilio::invalid_tier,
    usage::input::check_idempotency_key,
};
use crate::{
    db::{
        overview::{self, Subaccount},
        telephony_orders::NumberWish,
    },
    http::{
        auth::{AccountId, Caller, Scope},
        problem::{Problem, timestamp},
    },
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Query},
    payload::Json,
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
        let standing = shared.standing(&mut tx, &account).await?;
        if standing.subaccount.is_some() {
            let message = "User already has a Twilio subaccount";
            return Err(Problem::bad_request("SUBACCOUNT_EXISTS", message).into());
        }
        shared
            .eligibility(&mut tx, &account)
            .await?
            .map_err(invalid_tier)?;
        standing.count_order(&caller, &account)?;
        shared
            .order_telephony(&mut tx, &account, None, None, NumberWish::Any)
            .await?;
        tx.commit().await?;
        shared.ordered(&account, &caller);

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

        Ok(Json(Numbers::of(rows)))
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
