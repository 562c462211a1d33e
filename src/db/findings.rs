//! What a person must look at: one open finding per kind and subject.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::mask::mask;
use uuid::Uuid;

/// One of them, as it is stored.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Finding {
    pub id: Uuid,
    pub kind: String,
    pub subject: String,
    /// Whom it is about; empty: nobody we know.
    pub account_id: String,
    pub detail: Value,
    pub opened_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
    pub closed_why: Option<String>,
}

/// Open a finding, also where a person accepted an earlier one: it happened anew. False: it is open already.
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
    let is_new = done.rows_affected() == 1;
    if is_new {
        tell(kind, subject);
    }
    Ok(is_new)
}

/// A finding waits until somebody asks for it: the log tells of it at once.
fn tell(kind: &str, subject: &str) {
    tracing::warn!(
        finding.kind = kind,
        finding.subject = %mask(subject),
        "a finding is opened: a person must look at it"
    );
}

/// Close a finding that holds no longer, and have a person's acceptance of it end: if it comes back, it is another one.
pub async fn close(
    conn: &mut PgConnection,
    kind: &str,
    subject: &str,
    why: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update findings set closed_at = coalesce(closed_at, now()), closed_why = concat_ws('; ', $3, closed_why)
         where kind = $1 and subject = $2 and (closed_at is null or starts_with(closed_why, $4))",
    )
    .bind(kind)
    .bind(subject)
    .bind(why)
    .bind(ACCEPTED_BY)
    .execute(conn)
    .await?;
    Ok(())
}

/// Close the findings of these kinds but those that still hold, given as two equally long lists, as [`close`] does.
pub async fn close_all_but(
    conn: &mut PgConnection,
    kinds: &[&str],
    holding_kinds: &[&str],
    holding_subjects: &[&str],
    why: &str,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update findings set closed_at = coalesce(closed_at, now()), closed_why = concat_ws('; ', $4, closed_why)
         where (closed_at is null or starts_with(closed_why, $5)) and kind = any($1)
           and (kind, subject) not in (select * from unnest($2::text[], $3::text[]))",
    )
    .bind(kinds)
    .bind(holding_kinds)
    .bind(holding_subjects)
    .bind(why)
    .bind(ACCEPTED_BY)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Open a finding, or tell what is so now if it is open already; not one that a person has accepted as it is. False: it
/// was accepted.
pub async fn keep(
    conn: &mut PgConnection,
    kind: &str,
    subject: &str,
    account_id: &str,
    detail: &Value,
) -> sqlx::Result<bool> {
    let is_new: Option<bool> = sqlx::query_scalar(
        "insert into findings as f (id, kind, subject, account_id, detail)
         select $1, $2, $3, $4, $5
         where not exists (select 1 from findings
                           where kind = $2 and subject = $3 and detail = $5 and starts_with(closed_why, $6))
         on conflict (kind, subject) where closed_at is null do update set detail = excluded.detail
         returning xmax = 0",
    )
    .bind(Uuid::now_v7())
    .bind(kind)
    .bind(subject)
    .bind(account_id)
    .bind(detail)
    .bind(ACCEPTED_BY)
    .fetch_optional(conn)
    .await?;
    if is_new == Some(true) {
        tell(kind, subject);
    }
    Ok(is_new.is_some())
}

/// How the reason begins for which a person closed a finding that still holds.
const ACCEPTED_BY: &str = "accepted by ";

/// A person accepts everything of these kinds that is open about an account. Answers how many there were.
pub async fn accept(
    conn: &mut PgConnection,
    account_id: &str,
    kinds: &[&str],
    who: &str,
    why: &str,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update findings set closed_at = now(), closed_why = $3
         where account_id = $1 and kind = any($2) and closed_at is null",
    )
    .bind(account_id)
    .bind(kinds)
    .bind(format!("{ACCEPTED_BY}{who}: {why}"))
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A person accepts one finding as it is. False: it is closed already.
pub async fn accept_one(
    conn: &mut PgConnection,
    id: Uuid,
    who: &str,
    why: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update findings set closed_at = now(), closed_why = $2 where id = $1 and closed_at is null",
    )
    .bind(id)
    .bind(format!("{ACCEPTED_BY}{who}: {why}"))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Close the open findings of a kind about these subjects of an account.
pub async fn close_about(
    conn: &mut PgConnection,
    kind: &str,
    account_id: &str,
    subjects: &[&str],
    why: &str,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update findings set closed_at = now(), closed_why = $4
         where kind = $1 and account_id = $2 and subject = any($3) and closed_at is null",
    )
    .bind(kind)
    .bind(account_id)
    .bind(subjects)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The subjects of a kind's open findings about an account.
pub async fn open_subjects(
    conn: &mut PgConnection,
    kind: &str,
    account_id: &str,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select subject from findings where kind = $1 and account_id = $2 and closed_at is null",
    )
    .bind(kind)
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// Those of these subjects about which a finding of a kind is open.
pub async fn open_about(
    conn: &mut PgConnection,
    kind: &str,
    subjects: &[&str],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select subject from findings where kind = $1 and subject = any($2) and closed_at is null",
    )
    .bind(kind)
    .bind(subjects)
    .fetch_all(conn)
    .await
}

/// Whether a finding of a kind is open.
pub async fn is_any_open(conn: &mut PgConnection, kind: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from findings where kind = $1 and closed_at is null)",
    )
    .bind(kind)
    .fetch_one(conn)
    .await
}

/// The findings about these accounts that are open, each in a line: what kind, about what, and its detail.
pub async fn open_lines(
    conn: &mut PgConnection,
    account_ids: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select format('%s of %s (%s): %s', kind, subject, account_id, detail) from findings
         where account_id = any($1) and closed_at is null order by opened_at",
    )
    .bind(account_ids)
    .fetch_all(conn)
    .await
}

/// Which findings are listed.
#[derive(Debug, Default)]
pub struct Filter {
    pub kind: Option<String>,
    pub account_id: Option<String>,
    /// Those that are closed, and not those that are open.
    pub is_closed: bool,
}

/// The newest that match, at most so many, from before one that was seen.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Finding>> {
    sqlx::query_as(
        "select * from findings
         where (closed_at is not null) = $1 and ($2::text is null or kind = $2)
           and ($3::text is null or account_id = $3) and ($4::uuid is null or id < $4)
         order by id desc limit $5",
    )
    .bind(filter.is_closed)
    .bind(&filter.kind)
    .bind(&filter.account_id)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// One finding, open or closed.
pub async fn load(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Finding>> {
    sqlx::query_as("select * from findings where id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// How many of each kind are open.
pub async fn open_by_kind(conn: &mut PgConnection) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as("select kind, count(*) from findings where closed_at is null group by kind")
        .fetch_all(conn)
        .await
}
