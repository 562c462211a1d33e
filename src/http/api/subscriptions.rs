//! `/api/subscription/*`: what a user's subscription entitles to, and their number.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde_json::json;

use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, FlatProblem, Refused},
    links,
    provision::{Ineligible, Standing},
    subscription_view::{self, SubscriptionView},
};
use crate::{
    db::overview,
    http::{
        auth::{AccountId, Caller, Scope},
        problem::{Problem, SUBSCRIPTION_WORDS},
    },
};

const EMAIL_LENGTH_MAX: usize = 320;
const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 255;

pub struct Subscriptions(pub(super) Arc<Shared>);

/// Asks for a Twilio subaccount and a phone number.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
struct ProvisionTwilio {
    /// Required from an app; a user's own when left out.
    user_id: Option<String>,
    /// Required. Kept only from an app, and only where none is known yet.
    email: Option<String>,
    /// Required, and a tier we know. What counts is the user's own subscription.
    subscription_tier: Option<String>,
    /// Three digits: where the number should be.
    area_code: Option<String>,
}

/// A number, or where it stands.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct ProvisionedTwilio {
    /// E.164, once it is bought.
    phone_number: Option<String>,
    /// pending, provisioning, active, suspended, failed or released.
    status: String,
    /// Where Twilio asks what to do with a call; absent when the number was there before.
    webhook_url: Option<String>,
    /// Whether the number takes calls.
    provisioned: bool,
    /// Where to ask how it went on.
    hint: Option<String>,
}

#[derive(ApiResponse)]
enum ProvisionAnswer {
    /// The number takes calls.
    #[oai(status = 200)]
    Active(Json<Envelope<ProvisionedTwilio>>),
    /// It is ordered and will be done; it takes longer than this request may.
    #[oai(status = 202)]
    UnderWay(
        Json<Envelope<ProvisionedTwilio>>,
        /// Where to ask how it went on.
        #[oai(header = "Location")]
        String,
        /// In seconds.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

/// A user's number; never the token of their subaccount.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct TwilioConfig {
    /// E.164.
    phone_number: Option<String>,
    /// pending, provisioning, active, suspended, failed or released; absent when nothing was ever
    /// asked for.
    status: Option<String>,
    /// Whether there is a number.
    configured: bool,
    webhook_url: Option<String>,
    created_at: Option<String>,
}

#[OpenApi(prefix_path = "/subscription", tag = "Tag::Subscription")]
impl Subscriptions {
    /// Give a user a Twilio subaccount and a phone number
    ///
    /// Both are bought at most once per user, however often this is asked for. Waits some seconds
    /// for the number; when that takes longer, answers 202 with where to ask.
    #[oai(
        path = "/provision-twilio",
        method = "post",
        operation_id = "provisionTwilio"
    )]
    async fn provision_twilio(
        &self,
        caller: Caller,
        /// Accepted on everything that costs. The same request has the same outcome here with and
        /// without it.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<ProvisionTwilio>,
    ) -> Result<ProvisionAnswer, Refused<EnvelopedProblem>> {
        let shared = &self.0;
        let Json(wish) = body;
        let account = caller.account(
            Scope::TelephonyWrite,
            wish.user_id.as_deref(),
            missing_parameters,
        )?;
        check_idempotency_key(idempotency_key.as_deref())?;
        wish.check(shared)?;

        let mut tx = shared.begin(&account).await?;
        let standing = shared.standing(&mut tx, &account).await?;
        if standing.active_number().is_some() {
            return Ok(shared.already_provisioned(&standing));
        }
        shared
            .eligibility(&mut tx, &account)
            .await?
            .map_err(invalid_tier)?;
        // What a user says about their own address is not known to be theirs.
        let email = wish.email.as_deref().filter(|_| caller.is_service());
        shared
            .order_telephony(&mut tx, &account, email, wish.area_code.as_deref())
            .await?;
        tx.commit().await?;
        shared.wake.ring();

        let standing = shared
            .wait(&account, |standing| standing.active_number().is_some())
            .await?;
        Ok(shared.provision_answer(&account, &standing)?)
    }

    /// Whether a user has a number, and which
    #[oai(path = "/twilio-config", method = "get", operation_id = "twilioConfig")]
    async fn twilio_config(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Result<Json<Envelope<TwilioConfig>>, Refused<EnvelopedProblem>> {
        let shared = &self.0;
        let missing = || Problem::bad_request("MISSING_PARAMETER", "userId is required");
        let account = caller.account(Scope::TelephonyRead, user_id.as_deref(), missing)?;

        let mut tx = shared.begin(&account).await?;
        let telephony = overview::telephony(&mut tx, account.as_str()).await?;
        drop(tx);

        let message = match &telephony {
            None => "No Twilio configuration found",
            Some(found) if found.phone_number.is_none() => "There is no number yet",
            Some(_) => "Twilio configuration found",
        };
        let number = telephony.as_ref().and_then(|t| t.phone_number.clone());
        let config = TwilioConfig {
            configured: number.is_some(),
            webhook_url: number
                .is_some()
                .then(|| links::voice_webhook(&shared.public_base_url, &account)),
            created_at: telephony
                .as_ref()
                .map(|t| crate::http::problem::timestamp(t.created_at)),
            status: telephony.map(|t| t.status),
            phone_number: number,
        };
        Ok(Envelope::new(config, message, shared.clock.now()))
    }

    /// A user's subscription, plan and limits
    #[oai(path = "/:user_id", method = "get", operation_id = "subscription")]
    async fn subscription(
        &self,
        caller: Caller,
        #[oai(name = "user_id")] user_id: Path<String>,
    ) -> Result<Json<SubscriptionView>, Refused<FlatProblem>> {
        let shared = &self.0;
        if SUBSCRIPTION_WORDS.contains(&user_id.as_str()) {
            return Err(Problem::not_found("There is nothing at this path").into());
        }
        let missing = || Problem::bad_request("MISSING_PARAMETER", "userId is required");
        let account = caller.account(Scope::SubscriptionRead, Some(&user_id), missing)?;

        let mut tx = shared.begin(&account).await?;
        let subscription = overview::subscription(&mut tx, account.as_str()).await?;
        drop(tx);

        let view = subscription_view::of(&account, subscription, &shared.plans);
        Ok(Json(view))
    }
}

impl ProvisionTwilio {
    fn check(&self, shared: &Shared) -> Result<(), Problem> {
        let email = self.email.as_deref().map(str::trim).unwrap_or_default();
        let tier = self
            .subscription_tier
            .as_deref()
            .map(str::trim)
            .unwrap_or_default();
        if email.is_empty() || tier.is_empty() {
            return Err(missing_parameters());
        }
        if !email.contains('@') || email.len() > EMAIL_LENGTH_MAX {
            return Err(Problem::bad_request(
                "INVALID_EMAIL",
                "email is not an e-mail address",
            ));
        }
        if (shared.plans)(tier).is_none() {
            let tier = tier.chars().take(64).collect();
            return Err(invalid_tier(Ineligible { tier, status: None }));
        }
        let is_area_code =
            |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        if !self.area_code.as_deref().is_none_or(is_area_code) {
            return Err(Problem::bad_request(
                "INVALID_AREA_CODE",
                "areaCode is three digits",
            ));
        }
        Ok(())
    }
}

impl Shared {
    fn already_provisioned(&self, standing: &Standing) -> ProvisionAnswer {
        let data = ProvisionedTwilio {
            phone_number: standing.active_number().map(str::to_owned),
            status: "active".to_owned(),
            webhook_url: None,
            provisioned: true,
            hint: None,
        };
        let now = self.clock.now();
        ProvisionAnswer::Active(Envelope::new(data, "Twilio already provisioned", now))
    }

    fn provision_answer(
        &self,
        account: &AccountId,
        standing: &Standing,
    ) -> Result<ProvisionAnswer, Problem> {
        if let Some(failure) = standing.failure() {
            return Err(failure);
        }
        let now = self.clock.now();
        let number = standing.active_number();
        let webhook_url = Some(links::voice_webhook(&self.public_base_url, account));
        if number.is_some() {
            let data = ProvisionedTwilio {
                phone_number: number.map(str::to_owned),
                status: "active".to_owned(),
                webhook_url,
                provisioned: true,
                hint: None,
            };
            let answer = Envelope::new(data, "Twilio provisioned successfully", now);
            return Ok(ProvisionAnswer::Active(answer));
        }
        let ask_at = links::twilio_config(account);
        let data = ProvisionedTwilio {
            phone_number: None,
            status: "provisioning".to_owned(),
            webhook_url,
            provisioned: false,
            hint: Some(format!("GET {ask_at} tells when the number is active")),
        };
        let answer = Envelope::new(data, "Twilio provisioning is under way", now);
        Ok(ProvisionAnswer::UnderWay(answer, ask_at, 5))
    }
}

pub(super) fn check_idempotency_key(key: Option<&str>) -> Result<(), Problem> {
    match key {
        Some(key) if key.is_empty() || key.len() > IDEMPOTENCY_KEY_LENGTH_MAX => {
            Err(Problem::bad_request(
                "INVALID_IDEMPOTENCY_KEY",
                "The Idempotency-Key header has 1 to 255 characters",
            ))
        }
        _ => Ok(()),
    }
}

fn missing_parameters() -> Problem {
    Problem::bad_request(
        "MISSING_PARAMETERS",
        "userId, email, and subscriptionTier are required",
    )
}

pub(super) fn invalid_tier(ineligible: Ineligible) -> Problem {
    Problem {
        details: ineligible
            .status
            .map(|status| json!({ "tier": &ineligible.tier, "status": status })),
        ..Problem::bad_request(
            "INVALID_TIER",
            format!(
                "Twilio provisioning requires RepX1 or higher. Current tier: {}",
                ineligible.tier
            ),
        )
    }
}
