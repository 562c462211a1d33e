//! Keys of the apps that call the API: known by their digest alone.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

/// A key as its row says; the scopes are in their stored spelling.
#[derive(Debug, Clone, sqlx::FromRow, Serialize)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    /// The first characters of the key.
    pub prefix: String,
    pub scopes: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether its last use is so long ago that the next one is written down.
    pub fn was_idle_at(&self, now: DateTime<Utc>) -> bool {
        self.last_used_at
            .is_none_or(|last| now - last >= TimeDelta::minutes(1))
    }
}

/// What a new key's row is made of.
pub struct NewApiKey<'a> {
    pub name: &'a str,
    pub prefix: &'a str,
    pub sha256: [u8; 32],
    pub scopes: &'a [&'a str],
    pub expires_at: Option<DateTime<Utc>>,
}

/// Store a key.
pub async fn insert(
    conn: &mut PgConnection,
    key: &NewApiKey<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Uuid> {
    sqlx::query_scalar(
        "insert into api_keys (id, name, prefix, key_sha256, scopes, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7) returning id",
    )
    .bind(Uuid::now_v7())
    .bind(key.name)
    .bind(key.prefix)
    .bind(key.sha256.as_slice())
    .bind(key.scopes)
    .bind(key.expires_at)
    .bind(now)
    .fetch_one(conn)
    .await
}

/// The keys with these digests that are neither revoked nor expired at `now`, each with its digest.
pub async fn live(
    conn: &mut PgConnection,
    digests: &[&[u8; 32]],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<(Vec<u8>, ApiKey)>> {
    let wanted: BTreeSet<&[u8]> = digests.iter().map(|digest| digest.as_slice()).collect();
    let rows = sqlx::query(
        "select key_sha256, id, name, prefix, scopes, created_at, expires_at, revoked_at, last_used_at
         from api_keys
         where key_sha256 = any($1) and revoked_at is null and (expires_at is null or expires_at > $2)",
    )
    .bind(wanted.into_iter().collect::<Vec<_>>())
    .bind(now)
    .fetch_all(conn)
    .await?;
    let read = |row: &PgRow| Ok((row.try_get("key_sha256")?, ApiKey::from_row(row)?));
    rows.iter().map(read).collect()
}

/// Remember that a key was used; at most once a minute, so that a busy app costs no write per
/// request. False when another request did it less than a minute ago.
pub async fn touch(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update api_keys set last_used_at = $2
         where id = $1 and (last_used_at is null or last_used_at <= $2 - interval '1 minute')",
    )
    .bind(id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Every key, the newest first.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<ApiKey>> {
    sqlx::query_as(
        "select id, name, prefix, scopes, created_at, expires_at, revoked_at, last_used_at
         from api_keys order by created_at desc, id desc",
    )
    .fetch_all(conn)
    .await
}

/// End a key at once. False when there is none such, or it was revoked before.
pub async fn revoke(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done =
        sqlx::query("update api_keys set revoked_at = $2 where id = $1 and revoked_at is null")
            .bind(id)
            .bind(now)
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}
