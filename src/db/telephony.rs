//! One row per account that has, had or shall have telephony. Every transition counts `turn` up.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

#[derive(Debug, Clone, FromRow)]
pub struct Telephony {
    pub account_id: String,
    pub status: String,
    pub turn: i32,
    pub area_code: Option<String>,
    pub why: Option<String>,
    pub release_at: Option<DateTime<Utc>>,
    /// Its included number is bought only when its user asks for it.
    pub number_on_demand: bool,
}

pub async fn load(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Option<Telephony>> {
    sqlx::query_as(
        "select account_id, status, turn, area_code, why, release_at, number_on_demand from telephony where account_id = $1",
    )
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// Order telephony, for the first time or after a release: with a number, whatever was wished before. False: there is some
/// already.
pub async fn order(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into telephony as t (account_id, status) values ($1, 'pending')
         on conflict (account_id) do update
             set status = 'pending', turn = t.turn + 1, why = null, suspended_at = null,
                 release_at = null, number_on_demand = false, updated_at = now()
             where t.status = 'released'",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Provisioning goes on: nothing that was asked of a provider is undone by it, so the turn stays.
pub async fn begin(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update telephony set status = 'provisioning', why = null, updated_at = now()
         where account_id = $1 and status in ('pending', 'failed')",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Everything is there.
pub async fn activate(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update telephony set status = 'active', why = null, updated_at = now()
         where account_id = $1 and status in ('pending', 'provisioning', 'failed')",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A provider refused; `why` is masked.
pub async fn fail(conn: &mut PgConnection, account_id: &str, why: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update telephony set status = 'failed', why = $2, updated_at = now()
         where account_id = $1 and status in ('pending', 'provisioning')",
    )
    .bind(account_id)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Taken away; `release_at` is when its numbers go back.
pub async fn suspend(
    conn: &mut PgConnection,
    account_id: &str,
    now: DateTime<Utc>,
    release_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update telephony set status = 'suspended', turn = turn + 1, suspended_at = $2,
             release_at = $3, updated_at = now()
         where account_id = $1 and status in ('pending', 'provisioning', 'active', 'failed')",
    )
    .bind(account_id)
    .bind(now)
    .bind(release_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Given back inside the grace time, or after it: then with a number, whatever was wished before.
pub async fn reactivate(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update telephony set status = 'provisioning', turn = turn + 1, suspended_at = null,
             release_at = null, why = null, updated_at = now(),
             number_on_demand = number_on_demand and status = 'suspended'
         where account_id = $1 and status in ('suspended', 'released')",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The last of its numbers goes back: a return orders a new one. The subaccount stays suspended, so the turn stays too.
/// False: it keeps another number, or is not suspended.
pub async fn release(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update telephony set status = 'released', release_at = null, updated_at = now()
         where account_id = $1 and status = 'suspended'
           and not exists (select from phone_numbers where account_id = $1 and status not in ('releasing', 'released'))",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Accounts whose provisioning has stood still since then, the oldest first.
pub async fn stuck(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select account_id from telephony where status in ('pending', 'provisioning') and updated_at < $1
         order by updated_at limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Accounts whose telephony was taken away so long ago while their subaccount is not, or who subscribe
/// and do not have it back.
pub async fn unended(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select account_id from telephony t
         where status in ('suspended', 'released') and updated_at < $1
           and (exists (select 1 from twilio_subaccounts s where s.account_id = t.account_id and s.status = 'active')
                or exists (select 1 from subscriptions s
                           where s.account_id = t.account_id and s.status in ('active', 'trialing')))
         order by updated_at limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await
}
