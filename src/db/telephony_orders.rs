//! An app's wish for telephony, written down for the workers. Runs in a transaction of
//! [`super::as_account`].

use sqlx::PgConnection;

/// Know the account. An e-mail address that is there already stays.
pub async fn ensure_account(
    conn: &mut PgConnection,
    account_id: &str,
    email: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into accounts (account_id, email) values ($1, $2)
         on conflict (account_id) do update set email = excluded.email, updated_at = now()
         where accounts.email is null and excluded.email is not null",
    )
    .bind(account_id)
    .bind(email)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ask for telephony, or ask again where it failed or was given up. What is under way or active
/// stays as it is; of an earlier wish only the area code changes.
pub async fn order(
    conn: &mut PgConnection,
    account_id: &str,
    area_code: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into telephony as t (account_id, status, area_code) values ($1, 'pending', $2)
         on conflict (account_id) do update
         set area_code = coalesce(excluded.area_code, t.area_code),
             status = case when t.status in ('failed', 'released') then 'pending' else t.status end,
             why = case when t.status in ('failed', 'released') then null else t.why end,
             updated_at = now()",
    )
    .bind(account_id)
    .bind(area_code)
    .execute(conn)
    .await?;
    Ok(())
}
