//! What is forgotten when it is old enough.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

const BATCH_MAX: i64 = 10_000;

/// Forget the webhooks received before `before`, except those still to be done or held for their account, whose key or
/// events may yet come. Twilio's that are held are of nobody, or tell nothing that is used. At most a batch: the next
/// run takes the rest. Answers how many.
pub async fn forget_webhooks(conn: &mut PgConnection, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let forgotten = sqlx::query(
        "delete from webhooks where id in (
             select id from webhooks
             where received_at < $1 and (state not in ('stored', 'held') or state = 'held' and provider = 'twilio')
             order by received_at limit $2)",
    )
    .bind(before)
    .bind(BATCH_MAX)
    .execute(conn)
    .await?;
    Ok(forgotten.rows_affected())
}

/// Forget the notifications announced before `before`, the oldest first and at most a batch. Answers how
/// many. A delivery that is still under way finds nothing to deliver.
pub async fn forget_notifications(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let forgotten = sqlx::query(
        "delete from notifications where notification_id in (
             select notification_id from notifications where created_at < $1 order by created_at limit $2)",
    )
    .bind(before)
    .bind(BATCH_MAX)
    .execute(conn)
    .await?;
    Ok(forgotten.rows_affected())
}
