//! `/api/twilio/search-numbers`, `purchase-number`, `release-number` and which number is the primary one: the numbers in
//! a user's own subaccount.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use tollkeeper_jobs::telephony::outbound::Carrier;

use super::{
    account, no_subaccount, not_found, number,
    order::{Kind, Ordered, Place, Wish},
    release::{Released, Which},
    search::Search,
};
use crate::{
    clients::on_sale::OnSale,
    db::{accounts, number_orders, overview},
    http::{
        api::{
            Shared, Tag,
            envelope::{FlatProblem, Refused},
            links,
            number_view::{Capabilities, Number},
        },
        auth::{Caller, Scope},
        problem::{Problem, timestamp},
    },
};

pub struct SubaccountNumbers(pub Arc<Shared>);

const FOUND_MAX: u16 = 20;

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct SearchNumbers {
    /// Where numbers are bought, when left out.
    country_code: Option<String>,
    /// Three digits.
    area_code: Option<String>,
    /// Digits and letters somewhere in the number, `*` for any one of them.
    contains: Option<String>,
}

#[derive(Debug, Object)]
struct FoundNumbers {
    /// Always true.
    success: bool,
    numbers: Vec<FoundNumber>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct FoundNumber {
    /// E.164.
    phone_number: String,
    friendly_name: Option<String>,
    locality: Option<String>,
    region: Option<String>,
    capabilities: Capabilities,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct PurchaseNumber {
    /// Required. In any usual form. This number is bought, or none.
    phone_number: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct PurchasedNumber {
    /// Always true.
    success: bool,
    /// E.164.
    phone_number: Option<String>,
    /// `PN…`, once it is bought.
    sid: Option<String>,
    friendly_name: Option<String>,
    capabilities: Option<Capabilities>,
    date_created: Option<String>,
    /// active, or provisioning while it takes longer than the request may.
    status: String,
}

#[derive(ApiResponse)]
enum PurchaseAnswer {
    /// The number takes calls.
    #[oai(status = 200)]
    Active(Json<PurchasedNumber>),
    /// It is ordered and will be done; it takes longer than this request may.
    #[oai(status = 202)]
    UnderWay(
        Json<PurchasedNumber>,
        /// Where to ask how it went on.
        #[oai(header = "Location")]
        String,
        /// In seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct NumberToRelease {
    /// Required. `PN…`
    phone_sid: Option<String>,
}

#[derive(Debug, Object)]
struct ReleasedNumber {
    /// Always true.
    success: bool,
    message: String,
}

#[derive(ApiResponse)]
enum ReleaseAnswer {
    /// It is given back.
    #[oai(status = 200)]
    Done(Json<ReleasedNumber>),
    /// It is the user's no longer, and will be given back; that takes longer than this request may.
    #[oai(status = 202)]
    UnderWay(
        Json<ReleasedNumber>,
        /// Where the numbers are seen that the user has.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(Debug, Object)]
struct PrimaryNumber {
    /// Always true.
    success: bool,
    number: Number,
}

type Answer<T> = Result<T, Refused<FlatProblem>>;

#[OpenApi(prefix_path = "/twilio", tag = "Tag::Telephony")]
impl SubaccountNumbers {
    /// Numbers that can be bought at this moment
    #[oai(
        path = "/search-numbers",
        method = "post",
        operation_id = "searchNumbers"
    )]
    async fn search(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        body: Json<SearchNumbers>,
    ) -> Answer<Json<FoundNumbers>> {
        let account = account(&caller, Scope::TelephonyRead, user_id.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let subaccount = self.0.working_subaccount(&mut tx, &account).await?;
        drop(tx);
        subaccount.ok_or_else(no_subaccount)?;
        let Json(search) = body;
        let search = Search {
            country: search.country_code,
            area_code: search.area_code,
            pattern: search.contains,
            count: FOUND_MAX,
            ..Search::default()
        };
        let found = self.0.search_numbers(&account, search).await?;
        Ok(Json(FoundNumbers {
            success: true,
            numbers: found.into_iter().map(shown).collect(),
        }))
    }

    /// Buy a number for a user's subaccount
    ///
    /// It is bought once for each `Idempotency-Key`; without one, a number that the user has or has ordered is not
    /// bought again. Waits some seconds for it; when that takes longer, answers 202 with where to ask. When the number
    /// was sold meanwhile, 409, and no other is bought.
    #[oai(
        path = "/purchase-number",
        method = "post",
        operation_id = "purchaseNumber"
    )]
    async fn purchase(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Up to 255 characters. The same key with another number is refused with 422.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<PurchaseNumber>,
    ) -> Answer<PurchaseAnswer> {
        let account = account(&caller, Scope::TelephonyWrite, user_id.as_deref())?;
        let wanted = body.0.phone_number.filter(|text| !text.is_empty());
        let wanted = wanted.ok_or_else(|| missing("Phone number is required"))?;
        let wish = Wish {
            place: Place::Exactly(number(&wanted)?),
            key: idempotency_key.0,
            friendly_name: None,
            carrier: Carrier::Twilio,
            kind: Kind::Additional,
        };
        Ok(match self.0.order_number(&caller, &account, &wish).await? {
            Ordered::Active(row) => PurchaseAnswer::Active(Json(PurchasedNumber {
                success: true,
                capabilities: Some(Capabilities::of(row.capabilities.as_ref())),
                phone_number: Some(row.phone_number),
                sid: Some(row.number_ref),
                friendly_name: row.friendly_name,
                date_created: Some(timestamp(row.purchased_at.unwrap_or(row.created_at))),
                status: row.status,
            })),
            Ordered::UnderWay(order) => {
                let under_way = PurchasedNumber {
                    success: true,
                    phone_number: order.phone_number,
                    sid: None,
                    friendly_name: None,
                    capabilities: None,
                    date_created: None,
                    status: "provisioning".to_owned(),
                };
                PurchaseAnswer::UnderWay(Json(under_way), links::numbers(&account), 5)
            }
        })
    }

    /// Give a user's number back
    ///
    /// From then on it is not billed, and nobody gets it back. One that was given back before is answered alike.
    #[oai(
        path = "/release-number",
        method = "post",
        operation_id = "releaseNumber"
    )]
    async fn release(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        body: Json<NumberToRelease>,
    ) -> Answer<ReleaseAnswer> {
        let account = account(&caller, Scope::TelephonyWrite, user_id.as_deref())?;
        let sid = body.0.phone_sid.filter(|text| !text.is_empty());
        let sid = sid.ok_or_else(|| missing("Phone SID is required"))?;
        let which = Which::Named(super::name(sid)?);
        let answer = |message: &str| {
            Json(ReleasedNumber {
                success: true,
                message: message.to_owned(),
            })
        };
        let released = self.0.release_number(&caller, &account, &which).await?;
        Ok(match released {
            Released::Done => ReleaseAnswer::Done(answer("Phone number released successfully")),
            Released::UnderWay => {
                let message = "Phone number release is under way";
                ReleaseAnswer::UnderWay(answer(message), links::numbers(&account))
            }
        })
    }

    /// Make one of a user's numbers the primary one
    ///
    /// Of the numbers in use exactly one is: the first at the beginning, the oldest when that is given back.
    #[oai(
        path = "/numbers/:number/primary",
        method = "post",
        operation_id = "makePrimary"
    )]
    async fn make_primary(
        &self,
        caller: Caller,
        /// Its id or its SID.
        #[oai(name = "number")]
        number: Path<String>,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<Json<PrimaryNumber>> {
        let account = account(&caller, Scope::TelephonyWrite, user_id.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        accounts::lock(&mut tx, account.as_str()).await?;
        let number = super::name(number.0)?;
        let found = number_orders::bought(&mut tx, account.as_str(), &number).await?;
        let id = found.ok_or_else(not_found)?.id;
        if !number_orders::prefer(&mut tx, account.as_str(), id).await? {
            let why = "Only a number in use can be the primary one";
            return Err(super::not_yet("NUMBER_NOT_ACTIVE", why).into());
        }
        let row = overview::active_number(&mut tx, account.as_str(), id).await?;
        tx.commit().await?;
        Ok(Json(PrimaryNumber {
            success: true,
            number: Number::of(row.ok_or_else(not_found)?),
        }))
    }
}

fn missing(message: &str) -> Problem {
    Problem::bad_request("MISSING_PARAMETER", message)
}

fn shown(number: OnSale) -> FoundNumber {
    FoundNumber {
        capabilities: Capabilities::of(Some(&number.capabilities)),
        phone_number: number.phone_number,
        friendly_name: number.friendly_name,
        locality: number.locality,
        region: number.region,
    }
}
