//! Accounts for which nothing is billed until a person has looked, and what a person approved.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::mask::mask;
use uuid::Uuid;

#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Park {
    pub account_id: String,
    pub why: String,
    pub parked_by: String,
    pub parked_at: DateTime<Utc>,
}

/// Why an account is parked. None: it is not.
pub async fn of(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Option<Park>> {
    sqlx::query_as("select * from billing_parks where account_id = $1")
        .bind(account_id)
        .fetch_optional(conn)
        .await
}

/// Park an account. False: it is parked already, for the reason it was parked for first.
pub async fn park(
    conn: &mut PgConnection,
    account_id: &str,
    why: &str,
    parked_by: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into billing_parks (account_id, why, parked_by, parked_at) values ($1, $2, $3, $4)
         on conflict (account_id) do nothing",
    )
    .bind(account_id)
    .bind(why)
    .bind(parked_by)
    .bind(now)
    .execute(conn)
    .await?;
    let is_new = done.rows_affected() == 1;
    if is_new {
        tracing::warn!(
            account.id = account_id,
            why = %mask(why),
            parked_by,
            "an account is parked: nothing is billed for it until a person has looked"
        );
    }
    Ok(is_new)
}

/// Bill an account again. False: it was not parked.
pub async fn unpark(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from billing_parks where account_id = $1")
        .bind(account_id)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Every parked account, the newest first.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<Park>> {
    sqlx::query_as("select * from billing_parks order by parked_at desc, account_id")
        .fetch_all(conn)
        .await
}

/// How many accounts are parked.
pub async fn count(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from billing_parks")
        .fetch_one(conn)
        .await
}

/// Approve the amount of a period although it is above a cap.
pub async fn approve(
    conn: &mut PgConnection,
    period_id: Uuid,
    account_id: &str,
    approved_by: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into billing_approvals (period_id, account_id, approved_by, approved_at) values ($1, $2, $3, $4)
         on conflict (period_id) do nothing",
    )
    .bind(period_id)
    .bind(account_id)
    .bind(approved_by)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these periods a person has approved.
pub async fn approved(conn: &mut PgConnection, period_ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("select period_id from billing_approvals where period_id = any($1)")
        .bind(period_ids)
        .fetch_all(conn)
        .await
}
