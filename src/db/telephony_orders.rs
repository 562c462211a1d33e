//! An app's wish for telephony, written down for the workers. Runs in a transaction of
//! [`super::as_account`].

use sqlx::PgConnection;

/// Know the account. A row that is there is not touched, and so not locked: a worker may hold it.
pub async fn ensure_account(
    conn: &mut PgConnection,
    account_id: &str,
    email: Option<&str>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into accounts (account_id, email) values ($1, $2)
         on conflict (account_id) do nothing",
    )
    .bind(account_id)
    .bind(email)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Note where an account can be written to. False: an address is known already, and stays.
pub async fn set_first_email(
    conn: &mut PgConnection,
    account_id: &str,
    email: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update accounts set email = $2, updated_at = now()
         where account_id = $1 and email is null",
    )
    .bind(account_id)
    .bind(email)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The included number that comes with telephony.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberWish {
    Any,
    /// That which its own order names, and no other.
    Certain,
}

/// Ask for telephony, or ask again where it failed or was given up. What is under way or active
/// stays as it is; of an earlier wish only the area code changes, and whether a number is bought by itself.
///
/// A return after a release is a new turn: what was asked of a provider in the turn before does not
/// count for it. Going on after a failure is the same turn.
pub async fn order(
    conn: &mut PgConnection,
    account_id: &str,
    area_code: Option<&str>,
    number: NumberWish,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into telephony as t (account_id, status, area_code, number_on_demand) values ($1, 'pending', $2, $3)
         on conflict (account_id) do update
         set area_code = coalesce(excluded.area_code, t.area_code), number_on_demand = excluded.number_on_demand,
             status = case when t.status in ('failed', 'released') then 'pending' else t.status end,
             why = case when t.status in ('failed', 'released') then null else t.why end,
             turn = case when t.status = 'released' then t.turn + 1 else t.turn end,
             suspended_at = case when t.status = 'released' then null else t.suspended_at end,
             release_at = case when t.status = 'released' then null else t.release_at end,
             updated_at = now()",
    )
    .bind(account_id)
    .bind(area_code)
    .bind(number == NumberWish::Certain)
    .execute(conn)
    .await?;
    Ok(())
}
