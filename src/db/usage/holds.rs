//! What is held of a window until it is known how much was used.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// A hold; quantities are millionths of the feature's unit.
#[derive(Debug, Clone, FromRow)]
pub struct Hold {
    pub hold_id: Uuid,
    pub account_id: String,
    pub feature: String,
    /// day, month or cycle.
    pub per: String,
    pub window_starts_at: DateTime<Utc>,
    pub quantity: i64,
    /// held, settled or released. What is held and has expired counts no more.
    pub state: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub settled_quantity: Option<i64>,
}

/// Store new holds.
pub async fn insert(conn: &mut PgConnection, holds: &[Hold]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into usage_holds (hold_id, account_id, feature, per, window_starts_at, quantity, created_at,
                                  expires_at, state)
         select *, 'held' from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
                                      $7::timestamptz[], $8::timestamptz[])",
    )
    .bind(holds.iter().map(|hold| hold.hold_id).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.account_id.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.feature.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.per.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.window_starts_at).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.quantity).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.created_at).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.expires_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// A hold of this account, locked until the transaction ends.
pub async fn lock(
    conn: &mut PgConnection,
    account_id: &str,
    hold_id: Uuid,
) -> sqlx::Result<Option<Hold>> {
    sqlx::query_as("select * from usage_holds where hold_id = $1 and account_id = $2 for update")
        .bind(hold_id)
        .bind(account_id)
        .fetch_optional(conn)
        .await
}

/// It lives until then. False: it has ended.
pub async fn renew(
    conn: &mut PgConnection,
    hold_id: Uuid,
    expires_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update usage_holds set expires_at = greatest(expires_at, $2) where hold_id = $1 and state = 'held'",
    )
    .bind(hold_id)
    .bind(expires_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It is over: settled with what was used, or released where that is nothing. False: it was over before.
pub async fn end(
    conn: &mut PgConnection,
    hold_id: Uuid,
    settled_quantity: Option<i64>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update usage_holds set state = case when $2 is null then 'released' else 'settled' end,
                settled_quantity = $2, ended_at = $3
         where hold_id = $1 and state = 'held'",
    )
    .bind(hold_id)
    .bind(settled_quantity)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
