//! From variables to [`Config`].

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tollkeeper_jobs::telephony::e164::is_area_code;

mod billing;
mod mail;
mod outbound;
mod speech;
mod voipms;
mod web;

use self::{
    billing::billing,
    mail::mail,
    speech::{recordings, speech},
    voipms::voipms,
    web::{http, notify, rate_limits},
};
use super::{reader::Reader, *};
use crate::sealed::Keyring;

const JWT_SECRET_MIN: usize = 32;
const GREETING: &str = "Hello! Thank you for calling. Your call will be recorded for quality and training purposes. \
                        Please speak after the beep.";
const SMS_REPLY: &str = "Thank you for your message. We'll get back to you soon!";

impl Config {
    /// From this process' environment.
    pub fn from_env() -> Result<Config, ConfigError> {
        Config::from_map(&environment())
    }

    /// From the given variables and nothing else.
    pub fn from_map(environment: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(environment);
        let config = read(&mut reader, environment);
        match reader.faults.is_empty() {
            true => Ok(config),
            false => Err(ConfigError {
                faults: reader.faults,
            }),
        }
    }

    /// The names of all variables, but for the price ids (see [`is_price_setting`]).
    pub fn names() -> BTreeSet<&'static str> {
        let nothing = BTreeMap::new();
        let mut reader = Reader::new(&nothing);
        read(&mut reader, &nothing);
        reader.names
    }

    /// The variables that real use needs and that are not set, each with where its value is found.
    /// Empty: ready for real providers.
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let is_reachable = !self.public_base_url.starts_with("http://localhost:");
        let needed = [
            (
                is_reachable,
                "PUBLIC_BASE_URL",
                "the https:// address at which the providers reach this service",
            ),
            (
                !self.encryption_keys.is_empty(),
                "ENCRYPTION_KEY",
                "`openssl rand -hex 32` makes one; keep a copy",
            ),
            (
                !self.stripe.secret_key.expose_secret().is_empty(),
                "STRIPE_SECRET_KEY",
                "Stripe: Developers, API keys",
            ),
            (
                !self.stripe.webhook_secrets.is_empty(),
                "STRIPE_WEBHOOK_SECRET",
                "Stripe: Developers, Webhooks, the endpoint",
            ),
            (
                !self.twilio.account_sid.is_empty(),
                "TWILIO_ACCOUNT_SID",
                "Twilio: Console, Account Info",
            ),
            (
                !self.twilio.auth_tokens.is_empty(),
                "TWILIO_AUTH_TOKEN",
                "Twilio: Console, Account Info",
            ),
        ];
        needed
            .into_iter()
            .filter(|(is_set, ..)| !is_set)
            .map(|(_, name, found)| (name, found))
            .collect()
    }
}

/// This process' variables; one that is not UTF-8 is none of ours.
pub fn environment() -> BTreeMap<String, String> {
    let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(readable).collect()
}

/// Whether a variable holds a Stripe price id.
pub fn is_price_setting(name: &str) -> bool {
    name.starts_with("STRIPE_PRICE_")
        || (name.starts_with("STRIPE_") && name.ends_with("_PRICE_ID"))
}

fn read(reader: &mut Reader<'_>, environment: &BTreeMap<String, String>) -> Config {
    let port = reader.value(
        "PORT",
        3000,
        "a port (0 to 65535; 0 takes a free one)",
        |_| true,
    );
    Config {
        host: reader.value(
            "HOST",
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            "an IP address (0.0.0.0 for all)",
            |_| true,
        ),
        port,
        database_url: database_url(reader),
        data_dir: reader.text("TOLLKEEPER_DATA", "./.tollkeeper").into(),
        pg_bindir: reader.optional("PG_BINDIR").map(Into::into),
        public_base_url: public_base_url(reader, port),
        stripe: stripe(reader),
        twilio: twilio(reader),
        voipms: voipms(reader),
        encryption_keys: encryption_keys(reader),
        legacy_encryption_key: legacy_encryption_key(reader),
        jwt: jwt(reader),
        admin_key: reader.optional("ADMIN_KEY").map(Into::into),
        metrics_token: reader.optional("METRICS_TOKEN").map(Into::into),
        pools: pools(reader),
        worker: worker(reader),
        telephony: telephony(reader),
        recordings: recordings(reader),
        speech: speech(reader),
        http: http(reader),
        rate_limits: rate_limits(reader),
        notify: notify(reader),
        billing: billing(reader),
        mail: mail(reader),
        log_format: log_format(reader),
        log_filter: reader.text("RUST_LOG", "info,sqlx=warn"),
        price_ids: price_ids(environment),
    }
}

fn database_url(reader: &mut Reader<'_>) -> Option<SecretString> {
    let url = reader.optional("DATABASE_URL")?;
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        reader.fault(
            "DATABASE_URL",
            "is not a postgres:// URL; unset it to use the embedded server".to_owned(),
        );
    }
    Some(SecretString::from(url))
}

/// Two more names, of the services whose place this one takes. The first that is set wins.
fn public_base_url(reader: &mut Reader<'_>, port: u16) -> String {
    let names = ["PUBLIC_BASE_URL", "WEBHOOK_BASE_URL", "BASE_URL"];
    let name = names
        .into_iter()
        .rev()
        .fold("PUBLIC_BASE_URL", |found, name| {
            match reader.optional(name) {
                Some(_) => name,
                None => found,
            }
        });
    reader.base_url(name, &format!("http://localhost:{port}"))
}

fn stripe(reader: &mut Reader<'_>) -> StripeConfig {
    let secret_key = reader.optional("STRIPE_SECRET_KEY").unwrap_or_default();
    if secret_key.starts_with("pk_") {
        reader.fault(
            "STRIPE_SECRET_KEY",
            "is a publishable key (pk_…): give the secret or a restricted one".to_owned(),
        );
    }
    StripeConfig {
        secret_key: SecretString::from(secret_key),
        webhook_secrets: reader.secrets("STRIPE_WEBHOOK_SECRET"),
        api_base: reader.base_url("STRIPE_API_BASE", "https://api.stripe.com"),
        requests_per_second: reader.value(
            "STRIPE_REQUESTS_PER_SECOND",
            20,
            "a whole number",
            |_| true,
        ),
    }
}

fn twilio(reader: &mut Reader<'_>) -> TwilioConfig {
    let account_sid = reader.text("TWILIO_ACCOUNT_SID", "");
    if !account_sid.is_empty() && !account_sid.starts_with("AC") {
        reader.fault(
            "TWILIO_ACCOUNT_SID",
            "does not begin with AC: give the main account's SID".to_owned(),
        );
    }
    TwilioConfig {
        account_sid,
        auth_tokens: reader.secrets("TWILIO_AUTH_TOKEN"),
        api_base: reader.base_url("TWILIO_API_BASE", "https://api.twilio.com"),
    }
}

fn encryption_keys(reader: &mut Reader<'_>) -> Vec<SecretString> {
    let keys = reader.secrets("ENCRYPTION_KEY");
    if !keys.is_empty()
        && let Err(error) = Keyring::new(&keys)
    {
        reader.fault("ENCRYPTION_KEY", error.to_string());
    }
    keys
}

fn legacy_encryption_key(reader: &mut Reader<'_>) -> Option<SecretString> {
    let key = reader.optional("LEGACY_ENCRYPTION_KEY")?;
    if key.len() != 64 || !key.chars().all(|c| c.is_ascii_hexdigit()) {
        reader.fault(
            "LEGACY_ENCRYPTION_KEY",
            "is not 64 hexadecimal digits".to_owned(),
        );
    }
    Some(SecretString::from(key))
}

fn jwt(reader: &mut Reader<'_>) -> JwtConfig {
    let secret = reader.optional("JWT_SECRET");
    if secret.is_some_and(|secret| secret.len() < JWT_SECRET_MIN) {
        let what = format!(
            "is shorter than {JWT_SECRET_MIN} characters and could be guessed: `openssl rand -hex 32` makes one"
        );
        reader.fault("JWT_SECRET", what);
    }
    let is_bound = [
        reader.optional("JWT_ISSUER"),
        reader.optional("JWT_AUDIENCE"),
    ]
    .iter()
    .any(Option::is_some);
    if reader.optional("JWKS_URL").is_some() && !is_bound {
        let what = "is set without JWT_ISSUER or JWT_AUDIENCE: where tenants share an identity provider's keys, \
                    the tokens of every other tenant would be good here";
        reader.fault("JWKS_URL", what.to_owned());
    }
    JwtConfig {
        secret: secret.map(SecretString::from),
        jwks_url: reader
            .optional("JWKS_URL")
            .map(|_| reader.base_url("JWKS_URL", "")),
        issuer: reader.optional("JWT_ISSUER").map(str::to_owned),
        audience: reader.optional("JWT_AUDIENCE").map(str::to_owned),
    }
}

fn pools(reader: &mut Reader<'_>) -> PoolConfig {
    PoolConfig {
        ingest: reader.count("POOL_INGEST", 10),
        api: reader.count("POOL_API", 10),
        queue: reader.count("POOL_QUEUE", 10),
        work: reader.count("POOL_WORK", 16),
        console: reader.count("POOL_CONSOLE", 4),
        acquire_timeout: reader.duration("POOL_ACQUIRE_TIMEOUT", "3s"),
    }
}

fn worker(reader: &mut Reader<'_>) -> WorkerConfig {
    let lease = reader.duration("JOB_LEASE", "30s");
    if lease < Duration::from_secs(1) {
        reader.fault(
            "JOB_LEASE",
            "is under 1s: a run could not renew it in time".to_owned(),
        );
    }
    WorkerConfig {
        money: reader.count("WORKERS_MONEY", 8),
        voice: reader.count("WORKERS_VOICE", 8),
        default: reader.count("WORKERS_DEFAULT", 16),
        bulk: reader.count("WORKERS_BULK", 2),
        account_max: reader.count("WORKERS_PER_ACCOUNT_MAX", 2),
        lease,
        poll_max: reader.duration("WORKER_POLL_MAX", "1s"),
        drain: reader.duration("WORKER_DRAIN", "25s"),
        metrics_port: reader.values("WORKER_METRICS_PORT", "a port").pop(),
        backoff_scale: reader.value(
            "JOB_BACKOFF_SCALE",
            1.0,
            "a number over 0 and up to 100",
            |scale| *scale > 0.0 && *scale <= 100.0,
        ),
    }
}

fn telephony(reader: &mut Reader<'_>) -> TelephonyConfig {
    let area_codes: Vec<String> = reader
        .list("NUMBER_AREA_CODES")
        .into_iter()
        .map(str::to_owned)
        .collect();
    if !area_codes.iter().all(|code| is_area_code(code)) {
        reader.fault(
            "NUMBER_AREA_CODES",
            "an area code has three digits, as in 415,628".to_owned(),
        );
    }
    TelephonyConfig {
        country: reader.value(
            "NUMBER_COUNTRY",
            "US".to_owned(),
            "a country of ISO 3166, as in US",
            |country: &String| {
                country.len() == 2 && country.chars().all(|c| c.is_ascii_uppercase())
            },
        ),
        area_codes,
        numbers_per_account_max: reader.count("NUMBERS_PER_ACCOUNT_MAX", 10),
        past_due_grace: reader.duration("PAST_DUE_GRACE", "3d"),
        release_grace: reader.duration("NUMBER_RELEASE_GRACE", "7d"),
        quiet_time: reader.duration("PROVIDER_QUIET_TIME", "10m"),
        greeting: reader.text("VOICE_GREETING", GREETING),
        sms_reply: match reader.text("SMS_REPLY", SMS_REPLY) {
            off if off == "off" => String::new(),
            reply => reply,
        },
        allowed_countries: outbound::allowed_countries(reader),
        outbound: outbound::outbound(reader),
    }
}

fn log_format(reader: &mut Reader<'_>) -> LogFormat {
    match reader.optional("LOG_FORMAT") {
        None | Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => {
            reader.fault("LOG_FORMAT", format!("{other:?} is neither text nor json"));
            LogFormat::Text
        }
    }
}

fn price_ids(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let prices = environment
        .iter()
        .filter(|(name, id)| is_price_setting(name) && !id.trim().is_empty());
    prices
        .map(|(name, id)| (name.clone(), id.trim().to_owned()))
        .collect()
}
