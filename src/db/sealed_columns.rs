//! Every sealed column: read in batches, written back only if nobody changed it meanwhile.
//!
//! A table that gets a sealed column gets its two functions here; a test compares the schema.

use sqlx::{PgConnection, prelude::FromRow};

/// The sealed columns of the schema, as `table.column`.
pub const ALL: [&str; 1] = ["twilio_subaccounts.auth_token_sealed"];

#[derive(Debug, FromRow)]
pub struct SealedToken {
    pub account_id: String,
    pub sealed: String,
}

/// The subaccount tokens of the accounts after the given one, in order.
pub async fn subaccount_tokens(
    conn: &mut PgConnection,
    after: &str,
    rows_max: i64,
) -> sqlx::Result<Vec<SealedToken>> {
    sqlx::query_as(
        "select account_id, auth_token_sealed as sealed from twilio_subaccounts
         where account_id > $1 and auth_token_sealed is not null
         order by account_id limit $2",
    )
    .bind(after)
    .bind(rows_max)
    .fetch_all(conn)
    .await
}

/// Write the token sealed anew. False when it was changed since it was read: the change stays.
pub async fn replace_subaccount_token(
    conn: &mut PgConnection,
    account_id: &str,
    was: &str,
    sealed: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update twilio_subaccounts set auth_token_sealed = $3, updated_at = now()
         where account_id = $1 and auth_token_sealed = $2",
    )
    .bind(account_id)
    .bind(was)
    .bind(sealed)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The account whose subaccount this is.
pub async fn account_of_subaccount(
    conn: &mut PgConnection,
    subaccount_ref: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select account_id from twilio_subaccounts where subaccount_ref = $1")
        .bind(subaccount_ref)
        .fetch_optional(conn)
        .await
}

/// The account, if it is not known yet.
pub async fn insert_account(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<()> {
    sqlx::query("insert into accounts (account_id) values ($1) on conflict do nothing")
        .bind(account_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// A subaccount that exists at the provider. False when the account has one already: it stays.
pub async fn insert_imported_subaccount(
    conn: &mut PgConnection,
    account_id: &str,
    subaccount_ref: &str,
    friendly_name: &str,
    sealed: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into twilio_subaccounts (account_id, subaccount_ref, friendly_name, status, auth_token_sealed)
         values ($1, $2, $3, 'active', $4)
         on conflict (account_id) do nothing",
    )
    .bind(account_id)
    .bind(subaccount_ref)
    .bind(friendly_name)
    .bind(sealed)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
