//! What apps order of numbers, give back and prefer, written down for the workers. Runs in a transaction of
//! [`super::as_account`], under the account's lock wherever something is written.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::telephony::outbound::Carrier;
use uuid::Uuid;

use super::phone_numbers::TAG;

/// A number of an account or an order for one.
#[derive(Debug, Clone, FromRow)]
pub struct NumberOrder {
    pub id: Uuid,
    /// twilio or voipms.
    pub provider: String,
    /// ordered, buying, configuring, active, suspended, releasing or released.
    pub status: String,
    /// E.164; none before a candidate is chosen.
    pub phone_number: Option<String>,
    pub is_exact: bool,
    pub is_included: bool,
    pub area_code: Option<String>,
    /// The provider's code or a word of ours, where nothing was bought.
    pub why: Option<String>,
}

impl NumberOrder {
    /// Whose number it is, or will be.
    pub fn carrier(&self) -> Carrier {
        Carrier::of(&self.provider)
    }
}

macro_rules! orders {
    ($which:literal) => {
        concat!(
            "select id, provider, status, phone_number, is_exact, is_included, area_code, why from phone_numbers
             where account_id = $1 and ",
            $which
        )
    };
}

/// The order that came with this key.
pub async fn of_key(
    conn: &mut PgConnection,
    account_id: &str,
    key: &str,
) -> sqlx::Result<Option<NumberOrder>> {
    sqlx::query_as(orders!("order_key = $2"))
        .bind(account_id)
        .bind(key)
        .fetch_optional(conn)
        .await
}

/// The account's number of these digits, or its order for it; none that was given back or came to nothing.
pub async fn of_number(
    conn: &mut PgConnection,
    account_id: &str,
    phone_number: &str,
) -> sqlx::Result<Option<NumberOrder>> {
    sqlx::query_as(orders!(
        "phone_number = $2 and status not in ('releasing', 'released')"
    ))
    .bind(account_id)
    .bind(phone_number)
    .fetch_optional(conn)
    .await
}

/// Whether the account had a number of these digits that is on its way back.
pub async fn is_going(
    conn: &mut PgConnection,
    account_id: &str,
    phone_number: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from phone_numbers
                        where account_id = $1 and phone_number = $2 and status = 'releasing')",
    )
    .bind(account_id)
    .bind(phone_number)
    .fetch_one(conn)
    .await
}

/// The included number, or the order for it.
pub async fn included(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Option<NumberOrder>> {
    sqlx::query_as(orders!("is_included and status <> 'released'"))
        .bind(account_id)
        .fetch_optional(conn)
        .await
}

pub async fn load(
    conn: &mut PgConnection,
    account_id: &str,
    id: Uuid,
) -> sqlx::Result<Option<NumberOrder>> {
    sqlx::query_as(orders!("id = $2"))
        .bind(account_id)
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// A number that was bought, by our id of it, its SID or its digits; the newest where digits came back.
pub async fn bought(
    conn: &mut PgConnection,
    account_id: &str,
    name: &str,
) -> sqlx::Result<Option<NumberOrder>> {
    sqlx::query_as(orders!(
        "number_ref is not null and (id::text = $2 or number_ref = $2 or phone_number = $2)
         order by purchased_at desc, id limit 1"
    ))
    .bind(account_id)
    .bind(name)
    .fetch_optional(conn)
    .await
}

/// What is bought and not gone, the primary one first, what is on its way back last.
pub async fn kept(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<NumberOrder>> {
    sqlx::query_as(orders!(
        "status in ('configuring', 'active', 'suspended', 'releasing')
         order by status = 'releasing', is_primary desc, purchased_at, id"
    ))
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// How many numbers the account has and has ordered.
pub async fn count(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from phone_numbers where account_id = $1 and status not in ('releasing', 'released')",
    )
    .bind(account_id)
    .fetch_one(conn)
    .await
}

/// How many numbers were bought for the account since then, those that it gave back included.
pub async fn bought_since(
    conn: &mut PgConnection,
    account_id: &str,
    since: DateTime<Utc>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from phone_numbers where account_id = $1 and purchased_at > $2",
    )
    .bind(account_id)
    .bind(since)
    .fetch_one(conn)
    .await
}

/// What is written down before anything is bought.
pub struct NewOrder<'a> {
    pub id: Uuid,
    pub account_id: &'a str,
    pub carrier: Carrier,
    pub key: Option<&'a str>,
    /// The one number that will do.
    pub phone_number: Option<&'a str>,
    pub area_code: Option<&'a str>,
    /// None: our name of it at the provider.
    pub friendly_name: Option<&'a str>,
    pub is_included: bool,
}

/// False: the account has that number or an order for it, or there is an order of that key or for its included number; at
/// VoIP.ms anybody has it or an order for it.
pub async fn insert(conn: &mut PgConnection, order: &NewOrder<'_>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into phone_numbers (id, account_id, status, phone_number, is_exact, area_code, order_key, friendly_name,
                                    is_included, provider)
         values ($1, $2, case when $3::text is null then 'ordered' else 'buying' end, $3, $3::text is not null, $4, $5,
                 coalesce($6, $7), $8, $9)
         on conflict do nothing",
    )
    .bind(order.id)
    .bind(order.account_id)
    .bind(order.phone_number)
    .bind(order.area_code)
    .bind(order.key)
    .bind(order.friendly_name)
    .bind(format!("{TAG}{}", order.id))
    .bind(order.is_included)
    .bind(order.carrier.as_str())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Its included number was given back: none is bought in its place until it is asked for.
pub async fn want_none(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update telephony set number_on_demand = true, updated_at = now()
         where account_id = $1 and not number_on_demand",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// This number in use is the primary one from now on. False: it is not in use.
pub async fn prefer(conn: &mut PgConnection, account_id: &str, id: Uuid) -> sqlx::Result<bool> {
    // Two statements: the index that allows one primary number looks at each row as it changes.
    sqlx::query(
        "update phone_numbers set is_primary = false, updated_at = now()
         where account_id = $1 and is_primary and id <> $2
           and exists (select from phone_numbers where account_id = $1 and id = $2 and status = 'active')",
    )
    .bind(account_id)
    .bind(id)
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query(
        "update phone_numbers set is_primary = true, updated_at = now()
         where account_id = $1 and id = $2 and status = 'active'",
    )
    .bind(account_id)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
