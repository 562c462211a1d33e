//! `tollkeeper sandbox`: the stand-ins of the providers alone, for anybody's client.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use secrecy::ExposeSecret;
use tollkeeper_jobs::plans::{self, Catalogue, Interval};

use super::Program;
use crate::{
    clock::Clock,
    config::{Config, EndpointConfig, VoipmsApiConfig},
    sandbox::{Sandbox, Settings, WebhookTarget, twilio::Stock},
};

/// What the sandbox's speech and analysis are called; any name is as good.
const MODEL: &str = "sandbox";
const SPEECH_TIMEOUT: Duration = Duration::from_secs(60);

/// Run the stand-ins of Stripe, Twilio, VoIP.ms and a speech endpoint alone.
#[derive(Debug, Args)]
pub struct SandboxCommand {
    #[arg(long, default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
    /// The same seed: the same ids and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where Stripe's events go.
    #[arg(long, requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// What they are signed with: `whsec_…`.
    #[arg(long, requires = "webhook_url")]
    webhook_secret: Option<String>,
}

impl SandboxCommand {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        let webhook = self.webhook_url.zip(self.webhook_secret);
        let settings = Settings {
            listen: self.listen,
            seed: self.seed,
            webhook: webhook.map(|(url, secret)| WebhookTarget { url, secret }),
            ..Settings::default()
        };
        let keys = (
            settings.stripe_secret_key.clone(),
            settings.twilio_account_sid.clone(),
            settings.twilio_auth_token.clone(),
            settings.speech_api_key.clone(),
            settings.voipms_username.clone(),
            settings.voipms_password.clone(),
        );
        let sandbox = Sandbox::start(settings).await?;
        println!(
            "STRIPE_API_BASE={}\nSTRIPE_SECRET_KEY={}",
            sandbox.stripe_base(),
            keys.0
        );
        println!(
            "TWILIO_API_BASE={}\nTWILIO_ACCOUNT_SID={}\nTWILIO_AUTH_TOKEN={}",
            sandbox.twilio_base(),
            keys.1,
            keys.2
        );
        println!(
            "VOIPMS_API_BASE={}\nVOIPMS_USERNAME={}\nVOIPMS_API_PASSWORD={}\nVOIPMS_POP=1",
            sandbox.voipms_base(),
            keys.4,
            keys.5
        );
        for purpose in ["SPEECH", "ANALYSIS"] {
            println!(
                "{purpose}_API_BASE={}\n{purpose}_API_KEY={}\n{purpose}_MODEL={MODEL}",
                sandbox.speech_base(),
                keys.3
            );
        }
        println!(
            "# look and change: http://{}/sandbox/state",
            sandbox.address()
        );
        program.shutdown.cancelled().await;
        sandbox.stop().await;
        Ok(())
    }
}

/// A sandbox with the keys of these settings that delivers to this service; the settings then lead
/// to it.
pub async fn beside(
    config: &mut Config,
    webhook_url: String,
    clock: Clock,
    seed: u64,
) -> anyhow::Result<Sandbox> {
    let secret = config
        .stripe
        .webhook_secrets
        .first()
        .map(|secret| secret.expose_secret().to_owned());
    let token = config
        .twilio
        .auth_tokens
        .first()
        .map(|token| token.expose_secret().to_owned());
    let sandbox = Sandbox::start(Settings {
        seed,
        clock,
        // The database remembers the numbers of earlier sandboxes: this one sells others.
        stock: Stock::with_seed(seed),
        webhook: secret.map(|secret| WebhookTarget {
            url: webhook_url,
            secret,
        }),
        stripe_secret_key: config.stripe.secret_key.expose_secret().to_owned(),
        twilio_account_sid: config.twilio.account_sid.clone(),
        twilio_auth_token: token.unwrap_or_default(),
        ..Settings::default()
    })
    .await?;
    config.stripe.api_base = sandbox.stripe_base();
    config.stripe.requests_per_second = 0;
    config.twilio.api_base = sandbox.twilio_base();
    let defaults = Settings::default();
    config.voipms.api = Some(VoipmsApiConfig {
        username: defaults.voipms_username,
        password: defaults.voipms_password.into(),
        url: sandbox.voipms_base(),
        requests_per_second: 0,
        pop: Some(1),
        routing: "sys:noservice".into(),
    });
    let endpoint = |path: &str| {
        Some(EndpointConfig {
            url: sandbox.speech_base() + path,
            api_key: defaults.speech_api_key.clone().into(),
            model: MODEL.to_owned(),
            timeout: SPEECH_TIMEOUT,
        })
    };
    config.speech.transcription = endpoint("/v1/audio/transcriptions");
    config.speech.analysis = endpoint("/v1/chat/completions");
    for (setting, price_id, cents) in monthly_prices() {
        sandbox.add_price(&price_id, cents);
        config.price_ids.entry(setting).or_insert(price_id);
    }
    Ok(sandbox)
}

/// What a month of each tier costs at the sandbox: the price's setting, its id there and US cents.
fn monthly_prices() -> Vec<(String, String, i64)> {
    let catalogue = Catalogue::load(plans::BUILT_IN, |_| None)
        .expect("the built-in catalogue is sound: a test says so");
    let tiers = catalogue.tiers().iter();
    tiers
        .flat_map(|tier| tier.prices.iter().map(move |price| (&tier.id, price)))
        .filter(|(_, price)| price.every == Interval::Month)
        .filter_map(|(tier, price)| {
            let cents = price.amount_minor?;
            Some((price.setting.clone(), monthly_price_id(tier), cents))
        })
        .collect()
}

/// The id of a tier's monthly price at a sandbox beside the service.
pub fn monthly_price_id(tier: &str) -> String {
    format!("price_{tier}_month")
}
