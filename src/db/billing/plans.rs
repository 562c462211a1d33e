//! Plans of billing runs.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub struct StoredPlan {
    pub plan_id: Uuid,
    pub sha256: String,
    pub planned: Value,
    pub made_at: DateTime<Utc>,
    pub carried_out_at: Option<DateTime<Utc>>,
}

/// Keep a plan.
pub async fn insert(
    conn: &mut PgConnection,
    sha256: &str,
    planned: &Value,
    made_by: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Uuid> {
    let plan_id = Uuid::now_v7();
    sqlx::query(
        "insert into billing_plans (plan_id, sha256, planned, made_by, made_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(plan_id)
    .bind(sha256)
    .bind(planned)
    .bind(made_by)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(plan_id)
}

pub async fn load(conn: &mut PgConnection, plan_id: Uuid) -> sqlx::Result<Option<StoredPlan>> {
    sqlx::query_as(
        "select plan_id, sha256, planned, made_at, carried_out_at from billing_plans where plan_id = $1",
    )
    .bind(plan_id)
    .fetch_optional(conn)
    .await
}

/// Remember that a plan was carried out. False: it was before.
pub async fn carried_out(
    conn: &mut PgConnection,
    plan_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update billing_plans set carried_out_at = $2 where plan_id = $1 and carried_out_at is null",
    )
    .bind(plan_id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
