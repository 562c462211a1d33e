//! `/api/phone/phone-numbers/*`: the phone system's clients look for a number and order it.

use std::sync::Arc;

use poem_openapi::{ApiResponse, Object, OpenApi, param::Header, payload::Json};

use super::{
    account, area_code, carrier, number,
    order::{Kind, Ordered, Place, Wish},
    search::Search,
};
use crate::{
    clients::on_sale::OnSale,
    http::{
        api::{
            Shared, Tag,
            envelope::{Envelope, EnvelopedProblem, Refused},
            links,
            number_view::{HeldNumber, UpperCapabilities},
            user_id::UserId,
        },
        auth::{AccountId, Caller, Scope},
        problem::Problem,
    },
};

pub struct PhoneSystem(pub Arc<Shared>);

const FOUND_MAX: u16 = 20;

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct NumberSearch {
    /// Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    /// Three digits.
    area_code: Option<String>,
    /// local, tollfree or mobile; local when left out.
    number_type: Option<String>,
    /// Digits and letters somewhere in the number, `*` for any one of them.
    pattern: Option<String>,
    /// twilio or voipms; twilio when left out. Numbers at voipms are for messages, and looked for by area code or pattern.
    provider: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct AvailableNumber {
    /// E.164.
    phone_number: String,
    friendly_name: Option<String>,
    locality: Option<String>,
    region: Option<String>,
    capabilities: UpperCapabilities,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct NumberOrder {
    /// Whose number it will be. Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    /// The same, by another name.
    client_id: Option<UserId>,
    /// In any usual form. This number is bought, or none.
    phone_number: Option<String>,
    /// Three digits, where no number is named: one there is bought. Needs an `Idempotency-Key`.
    area_code: Option<String>,
    /// What the user calls it.
    friendly_name: Option<String>,
    /// Who sells it: twilio or voipms; twilio when left out.
    provider: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct NumberUnderWay {
    id: String,
    /// E.164; absent until one is chosen.
    phone_number: Option<String>,
    /// Always `provisioning`.
    status: String,
    /// Where to ask how it went on.
    hint: String,
}

#[derive(ApiResponse)]
enum NumberAnswer {
    /// The number is in use.
    #[oai(status = 200)]
    Active(Json<Envelope<HeldNumber>>),
    /// It is ordered and will be done; it takes longer than this request may.
    #[oai(status = 202)]
    UnderWay(
        Json<Envelope<NumberUnderWay>>,
        /// Where to ask how it went on.
        #[oai(header = "Location")]
        String,
        /// In seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi(prefix_path = "/phone/phone-numbers", tag = "Tag::Telephony")]
impl PhoneSystem {
    /// Numbers that can be bought at this moment
    #[oai(path = "/search", method = "post", operation_id = "searchPhoneNumbers")]
    async fn search(
        &self,
        caller: Caller,
        body: Json<NumberSearch>,
    ) -> Result<Json<Envelope<Vec<AvailableNumber>>>, Refused<EnvelopedProblem>> {
        let Json(search) = body;
        let user_id = search.user_id.as_ref().map(|id| id.0.as_str());
        let account = account(&caller, Scope::TelephonyRead, user_id)?;
        let search = Search {
            provider: search.provider,
            kind: search.number_type,
            area_code: search.area_code,
            pattern: search.pattern,
            count: FOUND_MAX,
            ..Search::default()
        };
        let found = self.0.search_numbers(&account, search).await?;
        let found = found.into_iter().map(available).collect();
        let now = self.0.clock.now();
        Ok(Envelope::new(found, "Available phone numbers", now))
    }

    /// Buy one more number for a user
    ///
    /// It is bought once for each `Idempotency-Key`; without one, a number that the user has or has ordered is not
    /// bought again. Waits some seconds for it; when that takes longer, answers 202 with where to ask. When the number
    /// was sold meanwhile, 409, and no other is bought. Where VoIP.ms is not configured, 422 names the setting.
    #[oai(
        path = "/provision",
        method = "post",
        operation_id = "provisionPhoneNumber"
    )]
    async fn provision(
        &self,
        caller: Caller,
        /// Up to 255 characters. The same key with another number is refused with 422.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<NumberOrder>,
    ) -> Result<NumberAnswer, Refused<EnvelopedProblem>> {
        let Json(order) = body;
        let account = account(&caller, Scope::TelephonyWrite, order.named()?)?;
        let place = match (&order.phone_number, area_code(order.area_code)?) {
            (Some(text), _) if !text.is_empty() => Place::Exactly(number(text)?),
            (_, Some(code)) => Place::AreaCode(code),
            _ => {
                let message = "phoneNumber is required";
                return Err(Problem::bad_request("MISSING_PARAMETER", message).into());
            }
        };
        let wish = Wish {
            place,
            carrier: carrier(order.provider.as_deref())?,
            key: idempotency_key.0,
            friendly_name: order.friendly_name.filter(|name| !name.is_empty()),
            kind: Kind::Additional,
        };
        let ordered = self.0.order_number(&caller, &account, &wish).await?;
        Ok(self.answer(&account, ordered))
    }
}

impl PhoneSystem {
    fn answer(&self, account: &AccountId, ordered: Ordered) -> NumberAnswer {
        let now = self.0.clock.now();
        match ordered {
            Ordered::Active(row) => {
                let message = "Phone number provisioned successfully";
                NumberAnswer::Active(Envelope::new(HeldNumber::of(row), message, now))
            }
            Ordered::UnderWay(order) => {
                let ask_at = links::phone_numbers(account);
                let data = NumberUnderWay {
                    id: order.id.to_string(),
                    phone_number: order.phone_number,
                    status: "provisioning".to_owned(),
                    hint: format!("GET {ask_at} shows the number when it is active"),
                };
                let message = "Phone number provisioning is under way";
                NumberAnswer::UnderWay(Envelope::new(data, message, now), ask_at, 5)
            }
        }
    }
}

impl NumberOrder {
    /// The one user that it names, whatever it calls them.
    fn named(&self) -> Result<Option<&str>, Problem> {
        let text = |id: &'_ Option<UserId>| id.as_ref().map(|id| id.0.clone());
        match (text(&self.user_id), text(&self.client_id)) {
            (Some(user), Some(client)) if user != client => Err(Problem::bad_request(
                "CONFLICTING_USER_IDS",
                "The request names different users",
            )),
            _ => Ok(self
                .user_id
                .as_ref()
                .or(self.client_id.as_ref())
                .map(|id| id.0.as_str())),
        }
    }
}

fn available(number: OnSale) -> AvailableNumber {
    AvailableNumber {
        capabilities: UpperCapabilities::of(Some(&number.capabilities)),
        phone_number: number.phone_number,
        friendly_name: number.friendly_name,
        locality: number.locality,
        region: number.region,
    }
}
