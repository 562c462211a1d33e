//! What a person must look at: one open finding per kind and subject.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Open a finding. False: it is open already.
pub async fn open(
    conn: &mut PgConnection,
    kind: &str,
    subject: &str,
    account_id: &str,
    detail: &Value,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into findings (id, kind, subject, account_id, detail) values ($1, $2, $3, $4, $5)
         on conflict (kind, subject) where closed_at is null do nothing",
    )
    .bind(Uuid::now_v7())
    .bind(kind)
    .bind(subject)
    .bind(account_id)
    .bind(detail)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Close a finding that holds no longer. False: none was open.
pub async fn close(
    conn: &mut PgConnection,
    kind: &str,
    subject: &str,
    why: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update findings set closed_at = now(), closed_why = $3
         where kind = $1 and subject = $2 and closed_at is null",
    )
    .bind(kind)
    .bind(subject)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Close the open findings of these kinds but those that still hold, given as two equally long lists.
pub async fn close_all_but(
    conn: &mut PgConnection,
    kinds: &[&str],
    holding_kinds: &[&str],
    holding_subjects: &[&str],
    why: &str,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update findings set closed_at = now(), closed_why = $4
         where closed_at is null and kind = any($1)
           and (kind, subject) not in (select * from unnest($2::text[], $3::text[]))",
    )
    .bind(kinds)
    .bind(holding_kinds)
    .bind(holding_subjects)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// How many findings about these accounts are open.
pub async fn count_open(conn: &mut PgConnection, account_ids: &[String]) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from findings where account_id = any($1) and closed_at is null",
    )
    .bind(account_ids)
    .fetch_one(conn)
    .await
}
