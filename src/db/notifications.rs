//! What apps and customers are told. A row is what happened, said once; whether it was delivered to apps, the
//! queue knows, and whether it was mailed, the row.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::NewNotification;
use uuid::Uuid;

/// A notification as its row says.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Notification {
    pub notification_id: Uuid,
    /// Empty: it concerns no account.
    pub account_id: String,
    #[sqlx(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    pub occasion: String,
    pub data: Value,
    pub created_at: DateTime<Utc>,
    /// When the mail server accepted the mail about it.
    pub mailed_at: Option<DateTime<Utc>>,
}

/// One that was just stored, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Announced {
    pub notification_id: Uuid,
    pub account_id: String,
}

/// Which notifications are meant; everything left out matches.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub account_id: Option<String>,
    pub kind: Option<String>,
}

/// Store those whose (account, type, occasion) is new, and answer which were.
///
/// Rows are written in the order of their keys: two callers never lock each other out.
pub async fn announce(
    conn: &mut PgConnection,
    notifications: &[NewNotification],
) -> sqlx::Result<Vec<Announced>> {
    let column =
        |of: fn(&NewNotification) -> &str| notifications.iter().map(of).collect::<Vec<_>>();
    sqlx::query_as(
        "insert into notifications (notification_id, account_id, type, occasion, data)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
             as new (notification_id, account_id, type, occasion, data)
         order by account_id, type, occasion
         on conflict (account_id, type, occasion) do nothing
         returning notification_id, account_id",
    )
    .bind(
        notifications
            .iter()
            .map(|_| Uuid::now_v7())
            .collect::<Vec<_>>(),
    )
    .bind(column(|new| &new.account_id))
    .bind(column(|new| &new.kind))
    .bind(column(|new| &new.occasion))
    .bind(
        notifications
            .iter()
            .map(|new| new.data.clone())
            .collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await
}

/// One notification. None: there never was, or it is forgotten.
pub async fn load(
    conn: &mut PgConnection,
    notification_id: Uuid,
) -> sqlx::Result<Option<Notification>> {
    sqlx::query_as(
        "select notification_id, account_id, type, occasion, data, created_at, mailed_at
         from notifications where notification_id = $1",
    )
    .bind(notification_id)
    .fetch_optional(conn)
    .await
}

/// Write down that the mail about it was accepted. False: it was before, or it is forgotten.
pub async fn mailed(
    conn: &mut PgConnection,
    notification_id: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update notifications set mailed_at = $2 where notification_id = $1 and mailed_at is null",
    )
    .bind(notification_id)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The newest that match, at most `limit`, older than `before` (the id of the last one seen).
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Notification>> {
    sqlx::query_as(
        "select notification_id, account_id, type, occasion, data, created_at, mailed_at from notifications
         where ($1::text is null or account_id = $1) and ($2::text is null or type = $2)
           and ($3::uuid is null or notification_id < $3)
         order by notification_id desc limit $4",
    )
    .bind(&filter.account_id)
    .bind(&filter.kind)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}
