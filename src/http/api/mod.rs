//! What apps ask: JSON over HTTP, described by `/openapi.json`.
//!
//! Every operation but `clear-cache` authenticates first. Most read and write as the one account they are about; usage and
//! outgoing calls and messages run as the service, and name the account in each statement.

mod billing;
mod caching;
mod edge;
mod envelope;
mod left_out;
mod links;
mod number_view;
mod numbers;
mod outgoing;
mod phone;
mod phone_log;
mod phone_log_view;
mod phone_settings;
mod phone_usage;
mod plan;
mod provision;
mod provision_twilio;
mod recordings;
mod subaccounts;
mod subscription_view;
mod subscriptions;
mod transcript_view;
mod transcriptions;
mod usage;
mod user_id;
mod waiting;

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use poem::{Endpoint, EndpointExt, Response, Route};
use poem_openapi::{OpenApiService, Tags};
use secrecy::SecretString;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::Semaphore;
use tollkeeper_jobs::{plans::Catalogue, usage::Entitlement};

use self::{
    billing::BillingOperations,
    numbers::{PhoneService, PhoneSystem, SubaccountNumbers},
    outgoing::Outgoing,
    phone::Phone,
    phone_log::PhoneLog,
    phone_settings::PhoneSettings,
    phone_usage::PhoneUsage,
    recordings::Recordings,
    subaccounts::Subaccounts,
    subscriptions::Subscriptions,
    transcriptions::Transcriptions,
    usage::UsageOperations,
};
use super::{
    auth::{AccountId, Authenticator, RefreshRule},
    health::{self, Providers},
};
use crate::{
    clients::{stripe::Stripe, twilio::Twilio, voipms::Voipms},
    clock::Clock,
    config::TelephonyConfig,
    context::Context,
    db::{self, subscriptions::Subscription},
    outbound::Policy,
    queue::Wake,
    sealed::Keyring,
    usage::{Account, Desk, Rules},
};

/// So many requests may wait for their order to be carried out; the others are told to come back.
const WAITING_MAX: usize = 64;

const DESCRIPTION: &str = "\
Subscriptions, phone numbers, usage and bills: what apps ask about their users.

`RateLimit-Policy` and `RateLimit` say how often a user may ask, or an app for each user it names, and \
how much of that is left. Whoever asks more often is answered 429, with `Retry-After`.

What a GET answers has an `ETag`: sent back in `If-None-Match`, it is answered 304 while nothing has changed.";

/// What the API is told besides the context.
pub struct Options {
    pub providers: Providers,
    pub metrics: PrometheusHandle,
    /// How long a request for telephony waits before it answers 202; 8 s is what clients bear.
    pub provision_wait: Duration,
    pub jwks_refresh: RefreshRule,
}

/// What every operation works with.
struct Shared {
    pool: PgPool,
    clock: Clock,
    wake: Wake,
    catalogue: Arc<Catalogue>,
    stripe: Stripe,
    twilio: Twilio,
    voipms: Option<Voipms>,
    /// ISO 3166, where numbers are bought.
    country: String,
    numbers_per_account_max: u32,
    keyring: Arc<Keyring>,
    public_base_url: String,
    telephony: TelephonyConfig,
    provision_wait: Duration,
    waiting: Semaphore,
    rules: Rules,
    desk: Desk,
    admin_key: Option<SecretString>,
    policy: Policy,
}

impl Shared {
    /// A transaction that sees this account and nothing else.
    async fn begin(&self, account: &AccountId) -> sqlx::Result<Transaction<'static, Postgres>> {
        db::as_account(&self.pool, account.as_str()).await
    }

    /// The subscription that counts for this account, and the rights it gives.
    async fn subscription(
        &self,
        conn: &mut PgConnection,
        account: &AccountId,
    ) -> sqlx::Result<(Option<Subscription>, Entitlement<'_>)> {
        let mut all = db::subscriptions::of_account(conn, account.as_str()).await?;
        let entitlement = self.rules.entitlement(&Account::of(&all));
        let counting = entitlement.counting.map(|at| all.swap_remove(at));
        Ok((counting, entitlement))
    }
}

#[derive(Tags)]
enum Tag {
    /// What a user pays for and gets.
    Subscription,
    /// May they, and it was done.
    Usage,
    /// What a user owes, and will owe.
    Billing,
    /// Subaccounts and numbers.
    Telephony,
}

/// Everything the API serves, health checks and documentation included. To be nested at `/`, where
/// it also answers for paths that nobody knows.
pub fn routes(ctx: &Context, options: Options) -> impl Endpoint<Output = Response> + use<> {
    let health = health::routes(ctx, options.providers, options.metrics);
    let rules = Rules::of(ctx);
    let shared = Arc::new(Shared {
        pool: ctx.pools.api.clone(),
        clock: ctx.clock.clone(),
        wake: ctx.wake.clone(),
        catalogue: ctx.catalogue.clone(),
        stripe: ctx.stripe.clone().at_once(),
        twilio: ctx.twilio.clone(),
        voipms: ctx.voipms.clone(),
        country: ctx.config.telephony.country.clone(),
        numbers_per_account_max: ctx.config.telephony.numbers_per_account_max,
        keyring: ctx.keyring.clone(),
        public_base_url: ctx.config.public_base_url.clone(),
        telephony: ctx.config.telephony.clone(),
        provision_wait: options.provision_wait,
        waiting: Semaphore::new(WAITING_MAX),
        desk: Desk::start(&ctx.pools.api, &rules, ctx.config.http.store_deadline),
        rules,
        admin_key: ctx.config.admin_key.clone(),
        policy: Policy::of(ctx),
    });
    let operations = (
        Subscriptions(shared.clone()),
        UsageOperations(shared.clone()),
        BillingOperations(shared.clone()),
        Subaccounts(shared.clone()),
        PhoneLog(shared.clone()),
        Phone(shared.clone()),
        Outgoing(shared.clone()),
        PhoneSettings(shared.clone()),
        PhoneUsage(shared.clone()),
        SubaccountNumbers(shared.clone()),
        PhoneSystem(shared.clone()),
        PhoneService(shared.clone()),
        Recordings(shared.clone()),
        Transcriptions(shared),
    );
    let service = OpenApiService::new(operations, "Tollkeeper", "1")
        .description(DESCRIPTION)
        .url_prefix("/api");
    let authenticator = Authenticator::new(ctx, options.jwks_refresh);
    let routes = Route::new()
        .nest("/", health)
        .at("/openapi.json", service.spec_endpoint())
        .nest("/docs", service.swagger_ui())
        .at("/api/phone/health", health::phone(ctx))
        .nest(
            "/api",
            service.around(left_out::tidied).around(caching::answered),
        );
    edge::wrap(routes, authenticator, &ctx.config, ctx.clock.clone())
}
