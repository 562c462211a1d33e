//! Twilio subaccounts: one per account, its token sealed.

use sqlx::PgConnection;

/// The owner and the sealed auth token of a subaccount; none for a subaccount that is not ours.
pub async fn sealed_token(
    conn: &mut PgConnection,
    account_sid: &str,
) -> sqlx::Result<Option<(String, String)>> {
    sqlx::query_as(
        "select account_id, auth_token_sealed from twilio_subaccounts
         where subaccount_ref = $1 and auth_token_sealed is not null",
    )
    .bind(account_sid)
    .fetch_optional(conn)
    .await
}
