//! Twilio subaccounts: one per account, an order first.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

#[derive(Debug, Clone, FromRow)]
pub struct Subaccount {
    pub account_id: String,
    pub subaccount_ref: Option<String>,
    pub friendly_name: String,
    pub status: String,
}

pub async fn load(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Option<Subaccount>> {
    sqlx::query_as(
        "select account_id, subaccount_ref, friendly_name, status from twilio_subaccounts where account_id = $1",
    )
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// The subaccount, or the order for one, that carries this name.
pub async fn named(
    conn: &mut PgConnection,
    friendly_name: &str,
) -> sqlx::Result<Option<Subaccount>> {
    sqlx::query_as(
        "select account_id, subaccount_ref, friendly_name, status from twilio_subaccounts where friendly_name = $1",
    )
    .bind(friendly_name)
    .fetch_optional(conn)
    .await
}

/// Every subaccount we know of or ordered.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<Subaccount>> {
    sqlx::query_as(
        "select account_id, subaccount_ref, friendly_name, status from twilio_subaccounts",
    )
    .fetch_all(conn)
    .await
}

/// Write the order down. False: it is there already.
pub async fn order(
    conn: &mut PgConnection,
    account_id: &str,
    friendly_name: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into twilio_subaccounts (account_id, friendly_name, status) values ($1, $2, 'ordered')
         on conflict (account_id) do nothing",
    )
    .bind(account_id)
    .bind(friendly_name)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The order was carried out. False: another run was first.
pub async fn created(
    conn: &mut PgConnection,
    account_id: &str,
    subaccount_ref: &str,
    auth_token_sealed: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update twilio_subaccounts
         set status = 'active', subaccount_ref = $2, auth_token_sealed = $3, updated_at = now()
         where account_id = $1 and status = 'ordered'",
    )
    .bind(account_id)
    .bind(subaccount_ref)
    .bind(auth_token_sealed)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Twilio carried a change of status out. False: there is no subaccount, or it has that status.
pub async fn set_status(
    conn: &mut PgConnection,
    account_id: &str,
    status: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update twilio_subaccounts set status = $2, updated_at = now()
         where account_id = $1 and status <> 'ordered' and status <> $2",
    )
    .bind(account_id)
    .bind(status)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What Twilio listed as its status after `since`, by the database's clock. False: that was known, or a change of ours came
/// since then and knows better.
pub async fn note_status(
    conn: &mut PgConnection,
    account_id: &str,
    status: &str,
    since: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update twilio_subaccounts s set status = $2, updated_at = now()
         where account_id = $1 and status <> 'ordered' and status <> $2 and updated_at < $3
           and not exists (select from telephony t where t.account_id = s.account_id and t.updated_at >= $3)",
    )
    .bind(account_id)
    .bind(status)
    .bind(since)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whose subaccount it is, and its token as stored.
pub async fn sealed_token(
    conn: &mut PgConnection,
    subaccount_ref: &str,
) -> sqlx::Result<Option<(String, String)>> {
    sqlx::query_as(
        "select account_id, auth_token_sealed from twilio_subaccounts
         where subaccount_ref = $1 and auth_token_sealed is not null",
    )
    .bind(subaccount_ref)
    .fetch_optional(conn)
    .await
}

/// Its token is another one.
pub async fn set_token(
    conn: &mut PgConnection,
    subaccount_ref: &str,
    auth_token_sealed: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update twilio_subaccounts set auth_token_sealed = $2, updated_at = now() where subaccount_ref = $1",
    )
    .bind(subaccount_ref)
    .bind(auth_token_sealed)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose subaccount it is.
pub async fn owner(conn: &mut PgConnection, subaccount_ref: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select account_id from twilio_subaccounts where subaccount_ref = $1")
        .bind(subaccount_ref)
        .fetch_optional(conn)
        .await
}

/// The accounts whose subaccounts are there and not closed.
pub async fn not_closed(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select account_id from twilio_subaccounts where status in ('active', 'suspended') order by account_id",
    )
    .fetch_all(conn)
    .await
}

/// An account's subaccount, and until when its lists of calls and messages were read; at first when it was made.
pub async fn read_until(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Option<(String, DateTime<Utc>)>> {
    sqlx::query_as(
        "select subaccount_ref, coalesce(phone_log_read_until, created_at) from twilio_subaccounts
         where account_id = $1 and status in ('active', 'suspended')",
    )
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// Its lists were read until then.
pub async fn was_read(
    conn: &mut PgConnection,
    account_id: &str,
    until: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update twilio_subaccounts set phone_log_read_until = $2 where account_id = $1")
        .bind(account_id)
        .bind(until)
        .execute(conn)
        .await?;
    Ok(())
}
