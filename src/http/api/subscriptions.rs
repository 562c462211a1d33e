//! `/api/subscription/*`: what a user's subscription entitles to, and their number.

use std::sync::Arc;

use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use tollkeeper_jobs::usage::MicroUnits;

use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, FlatProblem, Refused},
    links,
    provision_twilio::{ProvisionAnswer, ProvisionTwilio, invalid_tier, missing_parameters},
    subscription_view::{self, SubscriptionView},
    usage::input::check_idempotency_key,
};
use crate::{
    db::{overview, telephony_orders::NumberWish},
    http::{
        auth::{Caller, Scope},
        family::SUBSCRIPTION_WORDS,
        problem::{Problem, timestamp},
    },
    usage::Question,
};

pub struct Subscriptions(pub(super) Arc<Shared>);

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
            wish.user_id.as_ref().map(|id| id.0.as_str()),
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
        standing.count_order(&caller, &account)?;
        // What a user says about their own address is not known to be theirs.
        let email = wish.email().filter(|_| caller.is_service());
        shared
            .order_telephony(&mut tx, &account, email, wish.area_code(), NumberWish::Any)
            .await?;
        tx.commit().await?;
        shared.ordered(&account, &caller);

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
            created_at: telephony.as_ref().map(|t| timestamp(t.created_at)),
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
        let (subscription, entitlement) = shared.subscription(&mut tx, &account).await?;
        drop(tx);
        let tier = entitlement.tier;
        let questions = tier.limits.keys().chain(tier.included.keys());
        let questions = questions.map(|feature| Question {
            account_id: account.as_str().to_owned(),
            feature: feature.clone(),
            requested: MicroUnits::ZERO,
        });
        let usage = shared.desk.judge(questions.collect()).await?;

        let view = subscription_view::of(&account, subscription, tier, &usage);
        Ok(Json(view))
    }
}
