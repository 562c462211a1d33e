//! `tollkeeper endpoints …`: where apps listen for what happened.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Database, Program, Usage, signed::Signed};
use crate::{
    clients::notifier::shown,
    clock::Clock,
    db::notification_endpoints::{self, Endpoint},
    notify::operate::{self, Issued, Wish},
    sealed::Keyring,
};

/// Where apps listen for what happened; see `tollkeeper notifications`.
#[derive(Debug, Args)]
pub struct Endpoints {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register an endpoint; its signing secret is shown once.
    Add {
        /// https://, at a public address
        url: String,
        /// Comma-separated, such as usage.threshold; every type when left out.
        #[arg(long, value_delimiter = ',')]
        types: Option<Vec<String>>,
        #[command(flatten)]
        by: Signed,
    },
    /// Every endpoint, without its secret.
    List,
    /// Give it a new secret, shown once; the old one signs beside it for 24 hours.
    Rotate {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
    /// Deliver to it again.
    Enable {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
    /// Deliver nothing more to it.
    Disable {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
    /// Forget it and its secret.
    Remove {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
    /// Send it a test.ping.
    Test {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
}

impl Endpoints {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        Database::with(&program.settings.config, async |conn| {
            self.verb.run(&program, conn).await
        })
        .await
    }
}

impl Verb {
    async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let (now, output) = (Clock::default().now(), program.output);
        let done = |done: String| output.print(&json!({ "done": done }), |_| done.clone());
        match self {
            Verb::Add { url, types, by } => {
                let keyring = keyring(program)?;
                let wish = Wish {
                    url: &url,
                    types: types.as_deref(),
                    allow_private: program.settings.config.notify.allow_private,
                };
                let issued = operate::add(conn, &keyring, wish, now, by.by()).await?;
                show(program, &issued);
            }
            Verb::List => {
                let mut endpoints = notification_endpoints::all(conn).await?;
                for endpoint in &mut endpoints {
                    endpoint.url = shown(&endpoint.url);
                }
                output.print(&endpoints, |endpoints| list(endpoints, now));
            }
            Verb::Rotate { id, by } => {
                let keyring = keyring(program)?;
                let issued = operate::rotate(conn, &keyring, id, now, by.by()).await?;
                show(program, &issued);
            }
            Verb::Enable { id, by } => {
                operate::enable(conn, id, by.by()).await?;
                done(format!(
                    "endpoint {id} is enabled; `tollkeeper notifications replay` sends what it missed"
                ));
            }
            Verb::Disable { id, by } => {
                operate::disable(conn, id, now, by.by()).await?;
                done(format!("endpoint {id} is disabled"));
            }
            Verb::Remove { id, by } => {
                operate::remove(conn, id, by.by()).await?;
                done(format!("endpoint {id} is removed"));
            }
            Verb::Test { id, by } => {
                let notification = operate::test(conn, id, by.by()).await?;
                output.print(&json!({ "notification_id": notification }), |_| {
                    format!(
                        "a test.ping is on its way: `tollkeeper notifications show {notification}`"
                    )
                });
            }
        }
        Ok(())
    }
}

fn keyring(program: &Program) -> Result<Keyring, Usage> {
    let keys = &program.settings.config.encryption_keys;
    Keyring::new(keys).map_err(|error| Usage(error.to_string()))
}

fn show(program: &Program, issued: &Issued) {
    let (id, secret) = (issued.endpoint_id, issued.secret.expose_secret());
    let document = json!({ "endpoint_id": id, "secret": secret });
    program.output.print(&document, |_| {
        format!(
            "endpoint {id}\n{secret}\nThis is shown once: keep it where the app reads its secrets."
        )
    });
}

fn list(endpoints: &[Endpoint], now: DateTime<Utc>) -> String {
    if endpoints.is_empty() {
        return "there are no endpoints".into();
    }
    let lines = endpoints.iter().map(|endpoint| {
        let types = match &endpoint.types {
            Some(types) => types.join(","),
            None => "every type".into(),
        };
        let state = match (&endpoint.disabled_why, endpoint.previous_until) {
            (Some(why), _) => format!("disabled: {why}"),
            (None, Some(until)) if now < until => {
                format!("enabled, two secrets until {}", until.format("%F %T"))
            }
            _ => "enabled".to_owned(),
        };
        format!(
            "{}  {}  {types}  {state}",
            endpoint.endpoint_id, endpoint.url
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
