//! The settings: read from the environment once, all faults reported together.
//!
//! `.env.sample` lists every variable with its default. A `.env` file is not read: whoever starts the
//! program decides what its environment is.

mod load;
mod reader;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;
use tollkeeper_jobs::{
    billing::caps::Caps,
    telephony::{e164::E164, inbound::House},
};

pub use load::{environment, is_price_setting};

#[derive(Debug, Clone)]
pub struct Config {
    pub host: IpAddr,
    pub port: u16,
    /// Unset: the embedded cluster under `data_dir`.
    pub database_url: Option<SecretString>,
    pub data_dir: PathBuf,
    /// Where the embedded server's programs are; unset: searched.
    pub pg_bindir: Option<PathBuf>,
    /// What providers call us by; no slash at the end.
    pub public_base_url: String,
    pub stripe: StripeConfig,
    pub twilio: TwilioConfig,
    pub voipms: VoipmsConfig,
    /// `id:hex`, the first one seals, all of them open.
    pub encryption_keys: Vec<SecretString>,
    /// The key of the service whose rows are imported, 64 hex.
    pub legacy_encryption_key: Option<SecretString>,
    pub jwt: JwtConfig,
    /// What older callers of `clear-cache` send; unset: nobody is let in.
    pub admin_key: Option<SecretString>,
    /// What `/metrics` asks for. None: anybody may read it.
    pub metrics_token: Option<SecretString>,
    pub pools: PoolConfig,
    pub worker: WorkerConfig,
    pub telephony: TelephonyConfig,
    pub recordings: RecordingConfig,
    pub speech: SpeechConfig,
    pub http: HttpConfig,
    pub rate_limits: RateLimitConfig,
    pub notify: NotifyConfig,
    pub billing: BillingConfig,
    /// None: customers are told nothing by e-mail.
    pub mail: Option<MailConfig>,
    pub log_format: LogFormat,
    /// `RUST_LOG`, in the form of tracing's filters.
    pub log_filter: String,
    /// Price ids by the name of their setting (`STRIPE_PRICE_…`, `STRIPE_…_PRICE_ID`); which of them
    /// mean something, the plan catalogue says.
    pub price_ids: BTreeMap<String, String>,
}

/// Everything that is wrong with the settings, each with the variable's name and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.faults))]
pub struct ConfigError {
    pub faults: Vec<String>,
}

fn listed(faults: &[String]) -> String {
    let heading = match faults.len() {
        1 => "one setting is wrong:".to_owned(),
        count => format!("{count} settings are wrong:"),
    };
    faults
        .iter()
        .fold(heading, |text, fault| format!("{text}\n  {fault}"))
}

#[derive(Debug, Clone)]
pub struct StripeConfig {
    pub secret_key: SecretString,
    /// Any of them may have signed: rotation, several endpoints, several Stripe accounts.
    pub webhook_secrets: Vec<SecretString>,
    pub api_base: String,
    /// By all processes together; 0: as often as they like.
    pub requests_per_second: u32,
}

#[derive(Debug, Clone)]
pub struct TwilioConfig {
    pub account_sid: String,
    /// The first one is used for calls; any may have signed (a promoted secondary token).
    pub auth_tokens: Vec<SecretString>,
    pub api_base: String,
}

#[derive(Debug, Clone, Default)]
pub struct VoipmsConfig {
    /// None: it is not asked for anything, and its callbacks are only kept.
    pub api: Option<VoipmsApiConfig>,
    /// Unguessable tokens of the callback URL.
    pub callback_tokens: Vec<SecretString>,
    /// Addresses that may call; empty: any.
    pub callback_addresses: Vec<IpAddr>,
}

/// Whose numbers at VoIP.ms are used.
#[derive(Debug, Clone)]
pub struct VoipmsApiConfig {
    pub username: String,
    /// The API's own, not the portal's.
    pub password: SecretString,
    /// The one address of all its methods.
    pub url: String,
    /// By all processes together; 0: as often as they like.
    pub requests_per_second: u32,
    /// The point of presence of the numbers that are ordered. None: none are.
    pub pop: Option<u32>,
    /// What becomes of calls to the numbers that are ordered.
    pub routing: String,
}

#[derive(Debug, Clone, Default)]
pub struct JwtConfig {
    /// HS256.
    pub secret: Option<SecretString>,
    /// RS256 and ES256 keys of an identity provider.
    pub jwks_url: Option<String>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
}

#[derive(Debug, Clone)]
pub struct PoolConfig {
    pub ingest: u32,
    pub api: u32,
    pub queue: u32,
    pub work: u32,
    pub console: u32,
    pub acquire_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub money: usize,
    pub voice: usize,
    pub default: usize,
    pub bulk: usize,
    /// At most so many jobs of one account at once, per lane.
    pub account_max: usize,
    pub lease: Duration,
    /// The longest an idle worker waits before it looks again.
    pub poll_max: Duration,
    /// How long a drain waits for running jobs.
    pub drain: Duration,
    /// Where a process that is only a worker answers `/healthz`, `/readyz` and `/metrics`.
    pub metrics_port: Option<u16>,
    /// Scales every job's back-off; 1.0 outside of tests.
    pub backoff_scale: f64,
}

#[derive(Debug, Clone)]
pub struct TelephonyConfig {
    /// ISO 3166, where numbers are bought.
    pub country: String,
    /// Tried in this order when an account's own area code has none.
    pub area_codes: Vec<String>,
    /// How many numbers an account may have and order, the included one among them.
    pub numbers_per_account_max: u32,
    /// How long a subscription may be past due before its telephony is suspended.
    pub past_due_grace: Duration,
    /// How long a suspended account keeps its number.
    pub release_grace: Duration,
    /// After an unknown outcome, how long a request may still be carried out by the provider.
    pub quiet_time: Duration,
    /// ISO 3166: where calls and messages may go, for they cost what each country asks.
    pub allowed_countries: Vec<String>,
    pub greeting: String,
    /// Empty: messages are not answered.
    pub sms_reply: String,
    pub outbound: OutboundConfig,
}

/// What apps may have called and written.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// Of an account in a day (UTC) at list prices, in millionths of a US dollar. None: no cap.
    pub spend_per_day_micros: Option<i64>,
    /// After so many minutes a call is cut off.
    pub call_minutes_max: u32,
    /// The main account's own number, for who has none. None: who has none calls nobody.
    pub fallback_number: Option<E164>,
}

#[derive(Debug, Clone)]
pub struct RecordingConfig {
    /// What is larger is not transcribed.
    pub bytes_max: u64,
    /// What is larger is handed over in parts.
    pub part_bytes_max: u64,
    /// Whether it is deleted at the provider once it is transcribed.
    pub is_deleted: bool,
}

/// Who writes recordings down, and who analyses what was said.
#[derive(Debug, Clone, Default)]
pub struct SpeechConfig {
    /// None: recordings stay `pending`.
    pub transcription: Option<EndpointConfig>,
    /// None: analyses stay `pending`.
    pub analysis: Option<EndpointConfig>,
    /// ISO 639-1; unset: the endpoint finds out.
    pub language: Option<String>,
}

/// An endpoint of OpenAI's kind.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// With its path.
    pub url: String,
    /// Empty where it wants none.
    pub api_key: SecretString,
    pub model: String,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl TelephonyConfig {
    /// What the service itself says and allows.
    pub fn house(&self) -> House<'_> {
        House {
            greeting: &self.greeting,
            sms_reply: &self.sms_reply,
            countries: &self.allowed_countries,
        }
    }
}

#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub header_deadline: Duration,
    pub body_deadline: Duration,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// Most webhooks in one commit.
    pub group_max: usize,
    pub store_deadline: Duration,
    pub cors_origins: Vec<String>,
}

/// How much each caller may ask of the API. 0 requests switch a limit off.
#[derive(Debug, Clone)]
pub struct RateLimitConfig {
    pub window: Duration,
    /// Of any kind, per window.
    pub requests_max: u32,
    /// Orders of telephony.
    pub phone_per_hour_max: u32,
    /// Questions about bills.
    pub billing_per_hour_max: u32,
}

/// How apps are told what happened.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// Endpoints may be at private addresses, and need no https.
    pub allow_private: bool,
    /// How long one delivery may take, from the name's look-up to the answer's status.
    pub timeout: Duration,
}

/// What is billed without asking a person.
#[derive(Debug, Clone)]
pub struct BillingConfig {
    /// How long what is on its way when a period ends is waited for. A renewal's draft stays open for an hour.
    pub settles_for: Duration,
    pub caps: Caps,
}

/// How customers are told by e-mail.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// `SMTP_URL`, with its user and its password.
    pub server: SecretString,
    /// An address, or a name and an address.
    pub from: String,
    pub reply_to: Option<String>,
    /// How long the server may take until it waits for the mail, and again until it has accepted it.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}
