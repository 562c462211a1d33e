//! `/api/phone/provision`, `release`, `details` and `search`, for clients that know one number for each user.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Query},
    payload::Json,
};
use serde_json::json;
use tollkeeper_jobs::telephony::outbound::Carrier;

use super::{
    account, area_code,
    details::PhoneDetails,
    no_subaccount, number,
    order::{Kind, Ordered, Place, Wish},
    release::{Released, Which},
    search::Search,
    unpaid,
};
use crate::{
    clients::on_sale::OnSale,
    db::overview,
    http::{
        api::{
            Shared, Tag,
            envelope::{BareProblem, Refused},
            links,
            number_view::Capabilities,
        },
        auth::{AccountId, Caller, Scope},
        problem::Problem,
    },
};

pub struct PhoneService(pub Arc<Shared>);

const FOUND_MAX: u16 = 10;

#[derive(Debug, Object)]
struct ProvisionPhone {
    /// Three digits: where the number is to be.
    area_code: Option<String>,
    /// In any usual form. This number is bought, or none.
    phone_number: Option<String>,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct ProvisionedPhone {
    message: String,
    /// E.164; absent until one is chosen.
    phone_number: Option<String>,
    /// Absent until it is bought.
    capabilities: Option<Capabilities>,
}

#[derive(ApiResponse)]
enum ProvisionPhoneAnswer {
    /// The number takes calls.
    #[oai(status = 200)]
    Active(Json<ProvisionedPhone>),
    /// It is ordered and will be done; it takes longer than this request may.
    #[oai(status = 202)]
    UnderWay(
        Json<ProvisionedPhone>,
        /// Where to ask how it went on.
        #[oai(header = "Location")]
        String,
        /// In seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(Debug, Object)]
struct ReleasedPhone {
    message: String,
}

#[derive(ApiResponse)]
enum ReleasePhoneAnswer {
    /// It is given back.
    #[oai(status = 200)]
    Done(Json<ReleasedPhone>),
    /// It is the user's no longer, and will be given back; that takes longer than this request may.
    #[oai(status = 202)]
    UnderWay(
        Json<ReleasedPhone>,
        /// Where the numbers are seen that the user has.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(Debug, Object)]
struct FoundPhones {
    count: usize,
    /// Ten at most.
    numbers: Vec<FoundPhone>,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct FoundPhone {
    /// E.164.
    phone_number: String,
    friendly_name: Option<String>,
    locality: Option<String>,
    region: Option<String>,
    postal_code: Option<String>,
    capabilities: Capabilities,
}

type Answer<T> = Result<T, Refused<BareProblem>>;

#[OpenApi(prefix_path = "/phone", tag = "Tag::Telephony")]
impl PhoneService {
    /// Give a user the number that their plan includes
    ///
    /// For who has none: their plan's was given back, or is not there yet. Waits some seconds for it; when that takes
    /// longer, answers 202 with where to ask. When the named number was sold meanwhile, 409, and no other is bought.
    #[oai(path = "/provision", method = "post", operation_id = "provisionPhone")]
    async fn provision(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Up to 255 characters. The same key with another number is refused with 422.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<ProvisionPhone>,
    ) -> Answer<ProvisionPhoneAnswer> {
        let account = account(&caller, Scope::TelephonyWrite, user_id.as_deref())?;
        let Json(body) = body;
        let wanted = body.phone_number.filter(|text| !text.is_empty());
        let place = match (wanted, area_code(body.area_code)?) {
            (Some(text), _) => Place::Exactly(number(&text)?),
            (None, Some(code)) => Place::AreaCode(code),
            (None, None) => Place::Anywhere,
        };
        let wish = Wish {
            place,
            key: idempotency_key.0,
            friendly_name: None,
            carrier: Carrier::Twilio,
            kind: Kind::Included,
        };
        self.look_before_the_order(&caller, &account, &wish).await?;
        let ordered = self.0.order_number(&caller, &account, &wish).await;
        Ok(match ordered.map_err(as_of_a_number)? {
            Ordered::Active(row) if wish.will_do(&row.phone_number) => {
                ProvisionPhoneAnswer::Active(Json(ProvisionedPhone {
                    message: "Phone number provisioned successfully".to_owned(),
                    capabilities: Some(Capabilities::of(row.capabilities.as_ref())),
                    phone_number: Some(row.phone_number),
                }))
            }
            // Another request for the user's one number was first.
            Ordered::Active(row) => return Err(already(&row.phone_number).into()),
            Ordered::UnderWay(order) => {
                let under_way = ProvisionedPhone {
                    message: "Phone number provisioning is under way".to_owned(),
                    phone_number: order.phone_number,
                    capabilities: None,
                };
                ProvisionPhoneAnswer::UnderWay(Json(under_way), links::phone_details(&account), 5)
            }
        })
    }

    /// Give a user's number back
    ///
    /// From then on it is not billed, and no other is bought in its place. Who has several says which one.
    #[oai(path = "/release", method = "delete", operation_id = "releasePhone")]
    async fn release(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Which one, in any usual form; the only one when left out.
        #[oai(name = "phone_number")]
        phone_number: Query<Option<String>>,
    ) -> Answer<ReleasePhoneAnswer> {
        let account = account(&caller, Scope::TelephonyWrite, user_id.as_deref())?;
        let which = match phone_number.0.filter(|text| !text.is_empty()) {
            Some(text) => Which::Named(number(&text)?.as_str().to_owned()),
            None => Which::TheOnly,
        };
        let answer = |message: &str| {
            Json(ReleasedPhone {
                message: message.to_owned(),
            })
        };
        let released = self.0.release_number(&caller, &account, &which).await?;
        Ok(match released {
            Released::Done => {
                ReleasePhoneAnswer::Done(answer("Phone number released successfully"))
            }
            Released::UnderWay => {
                let message = "Phone number release is under way";
                ReleasePhoneAnswer::UnderWay(answer(message), links::numbers(&account))
            }
        })
    }

    /// A user's primary number, as the provider describes it at this moment
    #[oai(path = "/details", method = "get", operation_id = "phoneDetails")]
    async fn details(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<Json<PhoneDetails>> {
        let account = account(&caller, Scope::TelephonyRead, user_id.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let numbers = overview::active_numbers(&mut tx, account.as_str()).await?;
        let subaccount = overview::subaccount(&mut tx, account.as_str()).await?;
        drop(tx);
        let row = numbers.into_iter().next();
        Ok(Json(match (row, subaccount) {
            (Some(row), _) if row.provider == Carrier::Voipms.as_str() => {
                self.0.described_by_voipms(row).await?
            }
            (Some(row), Some(subaccount)) => {
                self.0.described(row, &subaccount.subaccount_ref).await?
            }
            _ => return Err(Problem::not_found("No phone number provisioned").into()),
        }))
    }

    /// Numbers that can be bought at this moment
    #[oai(path = "/search", method = "get", operation_id = "searchPhones")]
    async fn search(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Three digits.
        #[oai(name = "area_code")]
        area_code: Query<Option<String>>,
        /// Where numbers are bought, when left out.
        country: Query<Option<String>>,
    ) -> Answer<Json<FoundPhones>> {
        let account = account(&caller, Scope::TelephonyRead, user_id.as_deref())?;
        let search = Search {
            country: country.0,
            area_code: area_code.0,
            count: FOUND_MAX,
            ..Search::default()
        };
        let found = self.0.search_numbers(&account, search).await?;
        let numbers: Vec<FoundPhone> = found.into_iter().map(shown).collect();
        Ok(Json(FoundPhones {
            count: numbers.len(),
            numbers,
        }))
    }
}

impl PhoneService {
    /// What needs no order: 400 for who has a number, 404 where none is on sale. An order that is repeated is let through,
    /// so that it is answered as it was before.
    async fn look_before_the_order(
        &self,
        caller: &Caller,
        account: &AccountId,
        wish: &Wish,
    ) -> Result<(), Problem> {
        let shared = &self.0;
        let mut tx = shared.begin(account).await?;
        if shared.is_repeated(&mut tx, caller, account, wish).await? {
            return Ok(());
        }
        let standing = shared.standing(&mut tx, account).await?;
        if let Some(number) = standing.active_number() {
            return Err(already(number));
        }
        let eligibility = shared.eligibility(&mut tx, account).await?;
        eligibility.map_err(|_| unpaid("provisioning"))?;
        let is_active = |status: &str| status == "active";
        let telephony = standing.telephony.as_ref();
        // Taken away at Twilio, and not by us: that is not ours to lift.
        if telephony.is_some_and(|telephony| is_active(&telephony.status))
            && standing.active_subaccount().is_none()
        {
            return Err(no_subaccount());
        }
        drop(tx);
        if let Place::AreaCode(code) = &wish.place {
            let search = Search {
                area_code: Some(code.clone()),
                count: 1,
                ..Search::default()
            };
            if shared.search_numbers(account, search).await?.is_empty() {
                let message = "No phone numbers available in that area code";
                return Err(Problem::not_found(message));
            }
        }
        Ok(())
    }
}

/// 400 with the number that they have.
fn already(number: &str) -> Problem {
    Problem {
        details: Some(json!({ "phone_number": number })),
        ..Problem::new(
            StatusCode::BAD_REQUEST,
            "ALREADY_PROVISIONED",
            "Phone number already provisioned",
        )
    }
}

/// Its clients know of a number, and of nothing that it needs.
fn as_of_a_number(problem: Problem) -> Problem {
    match problem.code {
        "PROVISIONING_ERROR" => Problem {
            message: "Failed to provision phone number".to_owned(),
            ..problem
        },
        _ => problem,
    }
}

fn shown(number: OnSale) -> FoundPhone {
    FoundPhone {
        capabilities: Capabilities::of(Some(&number.capabilities)),
        phone_number: number.phone_number,
        friendly_name: number.friendly_name,
        locality: number.locality,
        region: number.region,
        postal_code: number.postal_code,
    }
}
