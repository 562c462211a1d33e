//! The settings of a command: the environment, and what was made up for the data folder.
//!
//! What is made up belongs to the embedded database beside it. With a DATABASE_URL nothing is:
//! another machine on that database would not have the key.

use std::{collections::BTreeMap, path::Path};

use super::made_up::{self, MadeUp};
use crate::config::{self, Config, ConfigError};

/// Wrong usage or settings: the message says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl From<ConfigError> for Usage {
    fn from(error: ConfigError) -> Usage {
        Usage(error.to_string())
    }
}

#[derive(Debug)]
pub struct Settings {
    pub config: Config,
    pub is_sandbox: bool,
    /// What had to be made up just now.
    pub made_up: Option<MadeUp>,
}

const DATA_DEFAULT: &str = "./.tollkeeper";

/// The sandbox never gets a real key and never sends anything to a real provider or a customer.
const PROVIDER_VARIABLES: [&str; 22] = [
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_API_BASE",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_API_BASE",
    "VOIPMS_USERNAME",
    "VOIPMS_API_PASSWORD",
    "VOIPMS_API_BASE",
    "VOIPMS_CALLBACK_TOKENS",
    "SPEECH_API_BASE",
    "SPEECH_API_KEY",
    "SPEECH_MODEL",
    "ANALYSIS_API_BASE",
    "ANALYSIS_API_KEY",
    "ANALYSIS_MODEL",
    "PUBLIC_BASE_URL",
    "WEBHOOK_BASE_URL",
    "BASE_URL",
    "SMTP_URL",
    "EMAIL_FROM",
    "EMAIL_REPLY_TO",
];

/// What a demo and a simulation take from the environment.
const DEMO_VARIABLES: [&str; 5] = [
    "TOLLKEEPER_DATA",
    "PG_BINDIR",
    "PORT",
    "RUST_LOG",
    "LOG_FORMAT",
];

impl Settings {
    /// The environment, completed by what an earlier `up` made up for the same data folder.
    pub fn read(is_sandbox: bool) -> anyhow::Result<Settings> {
        let mut environment = environment(is_sandbox)?;
        if !environment.contains_key("DATABASE_URL") {
            let earlier = made_up::read(Path::new(&environment["TOLLKEEPER_DATA"]))?;
            complete(&mut environment, earlier);
        }
        Settings::of(&environment, is_sandbox, None)
    }

    /// For the commands of operators: where a bare `up` has served the sandbox and nothing real was ever
    /// kept, its database is the one that is meant.
    pub fn of_operator(is_sandbox: bool) -> anyhow::Result<Settings> {
        let bare = config::environment();
        let data = bare
            .get("TOLLKEEPER_DATA")
            .filter(|folder| !folder.trim().is_empty());
        let data = Path::new(data.map_or(DATA_DEFAULT, String::as_str));
        let has_only_sandbox = data.join("sandbox").exists() && !data.join("postgres").exists();
        Settings::read(is_sandbox || (is_bare(&bare) && has_only_sandbox))
    }

    /// The same, and what is still missing is made up and written down. Without any word of a
    /// database or a provider, the providers are the sandbox: there is nothing else to serve.
    pub fn made_up(is_sandbox: bool) -> anyhow::Result<Settings> {
        let is_sandbox = is_sandbox || is_bare(&config::environment());
        let mut environment = environment(is_sandbox)?;
        if environment.contains_key("DATABASE_URL") {
            return Settings::of(&environment, is_sandbox, None);
        }
        let (values, made_up) = made_up::make(&environment, is_sandbox)?;
        complete(&mut environment, values);
        Settings::of(&environment, is_sandbox, made_up)
    }

    /// Of the environment only where things are: the demo looks the same whatever else is set.
    pub fn demo() -> anyhow::Result<Settings> {
        Settings::played(config::environment())
    }

    fn played(mut environment: BTreeMap<String, String>) -> anyhow::Result<Settings> {
        environment.retain(|name, _| DEMO_VARIABLES.contains(&name.as_str()));
        environment
            .entry("RUST_LOG".to_owned())
            .or_insert_with(|| "error".to_owned());
        let mut environment = settled(environment, true)?;
        let (values, made_up) = made_up::make(&environment, true)?;
        complete(&mut environment, values);
        Settings::of(&environment, true, made_up)
    }

    /// The same, in a folder of its own: what is there is thrown away.
    pub fn simulation() -> anyhow::Result<Settings> {
        let mut environment = config::environment();
        let data = environment.remove("TOLLKEEPER_DATA").unwrap_or_default();
        let data = Some(data).filter(|data| !data.trim().is_empty());
        let data = Path::new(data.as_deref().unwrap_or(DATA_DEFAULT)).join("simulation");
        environment.insert("TOLLKEEPER_DATA".to_owned(), data.to_string_lossy().into());
        Settings::played(environment)
    }

    fn of(
        environment: &BTreeMap<String, String>,
        is_sandbox: bool,
        made_up: Option<MadeUp>,
    ) -> anyhow::Result<Settings> {
        let config = Config::from_map(environment).map_err(Usage::from)?;
        Ok(Settings {
            config,
            is_sandbox,
            made_up,
        })
    }

    /// Whether a role may start; the error names what it lacks and the way without.
    pub fn require_providers(&self) -> Result<(), Usage> {
        let missing = self.config.missing();
        if self.is_sandbox || missing.is_empty() {
            return Ok(());
        }
        let width = missing
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        let list: String = missing
            .iter()
            .map(|(name, found)| format!("\n  {name:width$}  {found}"))
            .collect();
        Err(Usage(format!(
            "these settings are missing:{list}\nTo try it without any provider: tollkeeper up --sandbox"
        )))
    }
}

/// Whether nothing of the environment says what this service is for. A database or a single
/// provider's variable does: then what is missing is an error, not a reason to play.
fn is_bare(environment: &BTreeMap<String, String>) -> bool {
    let is_set = |name: &str| {
        environment
            .get(name)
            .is_some_and(|value| !value.trim().is_empty())
    };
    !is_set("DATABASE_URL") && !PROVIDER_VARIABLES.into_iter().any(is_set)
}

/// This process' variables without the empty ones, and with the data folder settled.
fn environment(is_sandbox: bool) -> Result<BTreeMap<String, String>, Usage> {
    settled(config::environment(), is_sandbox)
}

fn settled(
    mut environment: BTreeMap<String, String>,
    is_sandbox: bool,
) -> Result<BTreeMap<String, String>, Usage> {
    environment.retain(|_, value| !value.trim().is_empty());
    let data = environment
        .entry("TOLLKEEPER_DATA".to_owned())
        .or_insert_with(|| DATA_DEFAULT.to_owned());
    if is_sandbox {
        // Its customers and numbers do not exist: they must never meet the real ones.
        *data = Path::new(data)
            .join("sandbox")
            .to_string_lossy()
            .into_owned();
        if environment.contains_key("DATABASE_URL") {
            return Err(Usage(
                "the sandbox keeps a database of its own: unset DATABASE_URL".to_owned(),
            ));
        }
        environment.retain(|name, _| !PROVIDER_VARIABLES.contains(&name.as_str()));
        for base in ["STRIPE_API_BASE", "TWILIO_API_BASE"] {
            // Until the sandbox listens, its address is one that leads nowhere.
            environment.insert(base.to_owned(), "http://sandbox.invalid".to_owned());
        }
    }
    Ok(environment)
}

/// What the environment says itself wins.
fn complete(environment: &mut BTreeMap<String, String>, values: BTreeMap<String, String>) {
    for (name, value) in values {
        environment.entry(name).or_insert(value);
    }
}
