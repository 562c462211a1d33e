//! What an order for telephony says and is answered.

use poem_openapi::{ApiResponse, Object, payload::Json};
use serde_json::json;
use tollkeeper_jobs::telephony::e164::is_area_code;

use super::{
    Shared,
    envelope::Envelope,
    links,
    plan::PRODUCT,
    provision::{Ineligible, Standing},
    user_id::UserId,
};
use crate::http::{auth::AccountId, problem::Problem};

const EMAIL_LENGTH_MAX: usize = 320;

/// Asks for a Twilio subaccount and a phone number.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ProvisionTwilio {
    /// Required from an app; a user's own when left out.
    pub(super) user_id: Option<UserId>,
    /// Required. Kept only from an app, and only where none is known yet.
    email: Option<String>,
    /// Required, and a tier we know. What counts is the user's own subscription.
    pub(super) subscription_tier: Option<String>,
    /// Three digits: where the number should be.
    area_code: Option<String>,
}

/// A number, or where it stands.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ProvisionedTwilio {
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
pub enum ProvisionAnswer {
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

impl ProvisionTwilio {
    /// As it is stored and looked up.
    pub(super) fn email(&self) -> Option<&str> {
        self.email.as_deref().map(str::trim)
    }

    pub(super) fn area_code(&self) -> Option<&str> {
        self.area_code.as_deref().filter(|code| !code.is_empty())
    }

    /// 400 for what is missing or cannot be.
    pub(super) fn check(&self, shared: &Shared) -> Result<(), Problem> {
        let email = self.email().unwrap_or_default();
        let tier = self
            .subscription_tier
            .as_deref()
            .map(str::trim)
            .unwrap_or_default();
        if email.is_empty() || tier.is_empty() {
            return Err(missing_parameters());
        }
        if !email.contains('@')
            || email.len() > EMAIL_LENGTH_MAX
            || email.chars().any(char::is_control)
        {
            return Err(Problem::bad_request(
                "INVALID_EMAIL",
                "email is not an e-mail address",
            ));
        }
        if shared.catalogue.tier_named(PRODUCT, tier).is_none() {
            let tier = tier.chars().take(64).collect();
            return Err(invalid_tier(Ineligible { tier, status: None }));
        }
        if !self.area_code().is_none_or(is_area_code) {
            return Err(Problem::bad_request(
                "INVALID_AREA_CODE",
                "areaCode is three digits",
            ));
        }
        Ok(())
    }
}

impl Shared {
    pub(super) fn already_provisioned(&self, standing: &Standing) -> ProvisionAnswer {
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

    pub(super) fn provision_answer(
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

pub(super) fn missing_parameters() -> Problem {
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
