//! `tollkeeper keys …`: the keys of the apps that call the API.

use anyhow::{bail, ensure};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    db::api_keys::{self, ApiKey, NewApiKey},
    http::auth::{Scope, ServiceKey},
};

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

/// End a key; requests with it are refused from now on.
pub async fn revoke(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> anyhow::Result<()> {
    if !api_keys::revoke(conn, id, now).await? {
        bail!("there is no key {id} that could be revoked: `tollkeeper keys list` shows them");
    }
    Ok(())
}
