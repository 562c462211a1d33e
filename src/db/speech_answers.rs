//! What speech and analysis endpoints answered and was not made use of yet.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Keep an answer. False: one is kept already, and stays.
pub async fn keep(
    conn: &mut PgConnection,
    account_id: &str,
    subject: &str,
    sealed: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into speech_answers (account_id, subject, answer_sealed, answered_at) values ($1, $2, $3, $4)
         on conflict do nothing",
    )
    .bind(account_id)
    .bind(subject)
    .bind(sealed)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The answer, sealed.
pub async fn kept(
    conn: &mut PgConnection,
    account_id: &str,
    subject: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select answer_sealed from speech_answers where account_id = $1 and subject = $2",
    )
    .bind(account_id)
    .bind(subject)
    .fetch_optional(conn)
    .await
}

/// Forget every answer whose subject begins so.
pub async fn forget(
    conn: &mut PgConnection,
    account_id: &str,
    begins_with: &str,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from speech_answers where account_id = $1 and starts_with(subject, $2)",
    )
    .bind(account_id)
    .bind(begins_with)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
