//! Phone numbers: an order first, then the exact candidate, then the number itself.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

#[derive(Clone, FromRow)]
pub struct PhoneNumber {
    pub id: Uuid,
    pub account_id: String,
    pub status: String,
    pub phone_number: Option<String>,
    pub number_ref: Option<String>,
    pub refused: Vec<String>,
}

impl PhoneNumber {
    /// The name it carries at the provider.
    pub fn tag(&self) -> String {
        format!("{TAG}{}", self.id)
    }
}

/// What the names of our numbers begin with; the order's id follows.
pub const TAG: &str = "ord:";

pub async fn load(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<PhoneNumber>> {
    sqlx::query_as(
        "select id, account_id, status, phone_number, number_ref, refused from phone_numbers where id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The number the plan includes, or the order for it; none that was released.
pub async fn included(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Option<PhoneNumber>> {
    sqlx::query_as(
        "select id, account_id, status, phone_number, number_ref, refused from phone_numbers
         where account_id = $1 and is_included and status <> 'released'",
    )
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// Every number of an account that is not released.
pub async fn kept(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<PhoneNumber>> {
    sqlx::query_as(
        "select id, account_id, status, phone_number, number_ref, refused from phone_numbers
         where account_id = $1 and provider = 'twilio' and status <> 'released' order by id",
    )
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// Whose number one of these is.
pub async fn owner(conn: &mut PgConnection, numbers: &[&str]) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select account_id from phone_numbers
         where phone_number = any($1) and status not in ('ordered', 'buying', 'released')
         order by array_position($1, phone_number) limit 1",
    )
    .bind(numbers)
    .fetch_optional(conn)
    .await
}

/// Every Twilio number and order, released ones too.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<PhoneNumber>> {
    sqlx::query_as(
        "select id, account_id, status, phone_number, number_ref, refused from phone_numbers
         where provider = 'twilio'",
    )
    .fetch_all(conn)
    .await
}

/// Order the number the plan includes. False: there is one, or an order for one.
pub async fn order(conn: &mut PgConnection, id: Uuid, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into phone_numbers (id, account_id, status, friendly_name)
         values ($1, $2, 'ordered', $3)
         on conflict (account_id) where is_included and status <> 'released' do nothing",
    )
    .bind(id)
    .bind(account_id)
    .bind(format!("{TAG}{id}"))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Write the candidate down; from now on it may be ours. False: the order went on without us.
pub async fn choose(conn: &mut PgConnection, id: Uuid, phone_number: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set status = 'buying', phone_number = $2, updated_at = now()
         where id = $1 and status = 'ordered' and phone_number is null",
    )
    .bind(id)
    .bind(phone_number)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The candidate was definitely refused: it is put aside for good.
pub async fn refuse(conn: &mut PgConnection, id: Uuid, phone_number: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers
         set status = 'ordered', phone_number = null, refused = refused || $2, updated_at = now()
         where id = $1 and status = 'buying' and phone_number = $2",
    )
    .bind(id)
    .bind(phone_number)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The candidate is ours, from `now` by the service's clock, by which it is billed. False: that was known.
pub async fn bought(
    conn: &mut PgConnection,
    id: Uuid,
    number_ref: &str,
    capabilities: &Value,
    status: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers
         set status = $4, number_ref = $2, capabilities = $3, purchased_at = $5, updated_at = now()
         where id = $1 and status = 'buying' and number_ref is null",
    )
    .bind(id)
    .bind(number_ref)
    .bind(capabilities)
    .bind(status)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It points at us and may be used.
pub async fn activate(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set status = 'active', updated_at = now()
         where id = $1 and status in ('configuring', 'suspended')",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Every working number of a suspended account is suspended with it.
pub async fn suspend_all(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update phone_numbers set status = 'suspended', updated_at = now()
         where account_id = $1 and status in ('configuring', 'active')",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// From here it cannot be kept any more. False: it went another way meanwhile.
pub async fn release(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set status = 'releasing', updated_at = now()
         where id = $1 and status in ('configuring', 'active', 'suspended')",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It is gone, or was never bought. False: that was known.
pub async fn released(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set status = 'released', released_at = $2, updated_at = now()
         where id = $1 and status in ('ordered', 'buying', 'releasing')",
    )
    .bind(id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Numbers whose way back to the provider has stood still since then, with their accounts.
pub async fn unreleased(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as(
        "select n.id, n.account_id from phone_numbers n left join telephony t using (account_id)
         where n.provider = 'twilio'
           and (n.status = 'releasing' and n.updated_at < $1
                or n.status <> 'released' and t.status = 'suspended' and t.release_at < $1)
         order by n.updated_at limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await
}
