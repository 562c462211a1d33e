//! Where apps listen. The secrets are sealed: who reads a row cannot sign with it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// An endpoint as its row says.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Endpoint {
    pub endpoint_id: Uuid,
    pub url: String,
    #[serde(skip)]
    pub secret_sealed: String,
    #[serde(skip)]
    pub previous_secret_sealed: Option<String>,
    /// Until then the secret before the last rotation signs as well.
    pub previous_until: Option<DateTime<Utc>>,
    /// None: every type.
    pub types: Option<Vec<String>>,
    pub created_at: DateTime<Utc>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub disabled_why: Option<String>,
}

/// What a new endpoint's row is made of.
pub struct NewEndpoint<'a> {
    pub endpoint_id: Uuid,
    pub url: &'a str,
    pub secret_sealed: &'a str,
    pub types: Option<&'a [String]>,
}

/// Store an endpoint.
pub async fn insert(
    conn: &mut PgConnection,
    endpoint: &NewEndpoint<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into notification_endpoints (endpoint_id, url, secret_sealed, types, created_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(endpoint.endpoint_id)
    .bind(endpoint.url)
    .bind(endpoint.secret_sealed)
    .bind(endpoint.types)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Every endpoint, the newest first.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<Endpoint>> {
    sqlx::query_as(
        "select * from notification_endpoints order by created_at desc, endpoint_id desc",
    )
    .fetch_all(conn)
    .await
}

/// One endpoint. None: there never was, or it was removed.
pub async fn load(conn: &mut PgConnection, endpoint_id: Uuid) -> sqlx::Result<Option<Endpoint>> {
    sqlx::query_as("select * from notification_endpoints where endpoint_id = $1")
        .bind(endpoint_id)
        .fetch_optional(conn)
        .await
}

/// The same, and nobody else changes it until the transaction ends.
pub async fn lock(conn: &mut PgConnection, endpoint_id: Uuid) -> sqlx::Result<Option<Endpoint>> {
    sqlx::query_as("select * from notification_endpoints where endpoint_id = $1 for update")
        .bind(endpoint_id)
        .fetch_optional(conn)
        .await
}

/// Sign with a new secret from now on, and with the old one beside it until then.
pub async fn rotate(
    conn: &mut PgConnection,
    endpoint_id: Uuid,
    secret_sealed: &str,
    previous_sealed: &str,
    previous_until: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update notification_endpoints
         set secret_sealed = $2, previous_secret_sealed = $3, previous_until = $4
         where endpoint_id = $1",
    )
    .bind(endpoint_id)
    .bind(secret_sealed)
    .bind(previous_sealed)
    .bind(previous_until)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deliver nothing more to it. False: it is gone, or was disabled before.
pub async fn disable(
    conn: &mut PgConnection,
    endpoint_id: Uuid,
    why: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update notification_endpoints set disabled_at = $3, disabled_why = $2
         where endpoint_id = $1 and disabled_at is null",
    )
    .bind(endpoint_id)
    .bind(why)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Undo [`disable`]. False: it is gone, or was not disabled.
pub async fn enable(conn: &mut PgConnection, endpoint_id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update notification_endpoints set disabled_at = null, disabled_why = null
         where endpoint_id = $1 and disabled_at is not null",
    )
    .bind(endpoint_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forget it and its secrets. False: it is gone already.
pub async fn remove(conn: &mut PgConnection, endpoint_id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from notification_endpoints where endpoint_id = $1")
        .bind(endpoint_id)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
