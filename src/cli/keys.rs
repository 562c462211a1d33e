//! `tollkeeper keys …`: the keys of the apps that call the API.

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{Database, Program, signed::Signed};
use crate::{
    clock::Clock,
    db::api_keys::{self, ApiKey, NewApiKey},
    http::auth::{KNOWN_FOR, Scope, ServiceKey},
    queue::operate::record,
};

/// Keys of the apps that call the API.
#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key; it is shown once.
    Create {
        /// Which app it is for.
        name: String,
        /// Comma-separated, such as subscription:read,telephony:write; * for all.
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        #[arg(long)]
        expires_in_days: Option<i64>,
        #[command(flatten)]
        by: Signed,
    },
    /// Every key, without the key itself.
    List,
    /// End a key.
    Revoke {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
}

impl Keys {
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
        match self {
            Verb::Create {
                name,
                scopes,
                expires_in_days,
                by,
            } => {
                let scopes: Vec<Scope> = scopes
                    .iter()
                    .map(|scope| parse(scope))
                    .collect::<anyhow::Result<_>>()?;
                let expires_at = expires_in_days.map(|days| now + TimeDelta::days(days));
                let mut tx = conn.begin().await?;
                let key = create(&mut tx, &name, &scopes, expires_at, now).await?;
                let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
                let target = json!({ "key_id": key.id, "name": name, "scopes": scopes });
                record(&mut tx, "create_key", by.by(), None, target, 1).await?;
                tx.commit().await?;
                let secret = key.secret.expose_secret();
                output.print(&json!({ "id": key.id, "key": secret }), |_| {
                    format!("{secret}\nThis is shown once: keep it where {name} reads its secrets.")
                });
            }
            Verb::List => output.print(&list(conn).await?, |keys| {
                keys.iter()
                    .map(|key| line(key, now))
                    .collect::<Vec<_>>()
                    .join("\n")
            }),
            Verb::Revoke { id, by } => {
                let mut tx = conn.begin().await?;
                revoke(&mut tx, id, now).await?;
                let target = json!({ "key_id": id });
                record(&mut tx, "revoke_key", by.by(), None, target, 1).await?;
                tx.commit().await?;
                // Who has just looked it up may take it for so long: it is said to be done when it is.
                tokio::time::sleep(2 * KNOWN_FOR).await;
                output.print(&json!({ "revoked": id }), |_| {
                    format!("key {id} is revoked")
                });
            }
        }
        Ok(())
    }
}

fn parse(scope: &str) -> anyhow::Result<Scope> {
    scope.parse().ok().with_context(|| {
        let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        format!(
            "there is no scope {scope:?}; the scopes are {}",
            all.join(", ")
        )
    })
}

fn line(key: &ApiKey, now: DateTime<Utc>) -> String {
    let state = if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "good"
    };
    let used = key.last_used_at.map_or("never used".to_owned(), |at| {
        format!("last used {}", at.format("%F %T"))
    });
    format!(
        "{}  {:12}  {state:8}  {:20}  {}  {used}",
        key.id,
        key.prefix,
        key.name,
        key.scopes.join(",")
    )
}

/// A key that was just made. The secret is shown now and never again.
pub struct CreatedKey {
    pub id: Uuid,
    pub secret: SecretString,
}

/// Make a key and store its digest.
pub async fn create(
    conn: &mut PgConnection,
    name: &str,
    scopes: &[Scope],
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> anyhow::Result<CreatedKey> {
    ensure!(
        !name.trim().is_empty(),
        "a key needs a name: say which app it is for"
    );
    ensure!(!scopes.is_empty(), "a key needs at least one scope");
    if let Some(at) = expires_at {
        ensure!(at > now, "a key cannot expire in the past ({at})");
    }
    let key = ServiceKey::generate();
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let row = NewApiKey {
        name: name.trim(),
        prefix: key.shown_prefix(),
        sha256: key.sha256(),
        scopes: &scopes,
        expires_at,
    };
    let id = api_keys::insert(conn, &row, now).await?;
    Ok(CreatedKey {
        id,
        secret: key.into_secret(),
    })
}

/// Every key, the newest first; none of them can be shown again.
pub async fn list(conn: &mut PgConnection) -> anyhow::Result<Vec<ApiKey>> {
    Ok(api_keys::all(conn).await?)
}

/// End a key; requests with it are refused from [`KNOWN_FOR`] after the commit on.
pub async fn revoke(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> anyhow::Result<()> {
    if !api_keys::revoke(conn, id, now).await? {
        bail!("there is no key {id} that could be revoked: `tollkeeper keys list` shows them");
    }
    Ok(())
}
