//! What is held of a window until it is known how much was used.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
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
    /// When it was settled or released.
    pub ended_at: Option<DateTime<Utc>>,
    /// app, user, or outbound: the service itself, for a call or a message on its way.
    pub made_by: String,
    pub app_name: Option<String>,
    pub metadata: Option<Value>,
    /// As its counter has it.
    pub window_ends_at: Option<DateTime<Utc>>,
}

/// Store new holds.
pub async fn insert(conn: &mut PgConnection, holds: &[Hold]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into usage_holds (hold_id, account_id, feature, per, window_starts_at, quantity, created_at,
                                  expires_at, made_by, app_name, metadata, state)
         select *, 'held' from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
                                      $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::jsonb[])",
    )
    .bind(holds.iter().map(|hold| hold.hold_id).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.account_id.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.feature.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.per.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.window_starts_at).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.quantity).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.created_at).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.expires_at).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.made_by.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.app_name.as_deref()).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.metadata.as_ref()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// A hold of this account that `made_by` may end (app: users' too, but not what the service itself holds), locked until
/// the transaction ends.
pub async fn lock(
    conn: &mut PgConnection,
    account_id: &str,
    hold_id: Uuid,
    made_by: &str,
) -> sqlx::Result<Option<Hold>> {
    sqlx::query_as(
        "select h.*, (select ends_at from usage_counters c
                      where (c.account_id, c.per, c.starts_at, c.feature)
                          = (h.account_id, h.per, h.window_starts_at, h.feature)) as window_ends_at
         from usage_holds h
         where h.hold_id = $1 and h.account_id = $2 and (h.made_by = $3 or $3 = 'app' and h.made_by = 'user')
         for update",
    )
    .bind(hold_id)
    .bind(account_id)
    .bind(made_by)
    .fetch_optional(conn)
    .await
}

/// It lives for so long from now on, if it lives still; answers until when. Its counter is locked first: nobody may
/// just be giving its place away. By the database's clock, as the place is given away; `ahead` is how far the
/// service's clock is ahead of that.
pub async fn renew(
    conn: &mut PgConnection,
    hold: &Hold,
    lasts: TimeDelta,
    ahead: TimeDelta,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query(
        "select from usage_counters
         where account_id = $1 and per = $2 and starts_at = $3 and feature = $4 for update",
    )
    .bind(&hold.account_id)
    .bind(&hold.per)
    .bind(hold.window_starts_at)
    .bind(&hold.feature)
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar(
        "update usage_holds set expires_at = greatest(expires_at, clock_timestamp() + $2 + $3)
         where hold_id = $1 and state = 'held' and expires_at > clock_timestamp() + $3
         returning expires_at",
    )
    .bind(hold.hold_id)
    .bind(lasts)
    .bind(ahead)
    .fetch_optional(conn)
    .await
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
