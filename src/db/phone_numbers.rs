//! Phone numbers: an order first, then the exact candidate, then the number itself.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::telephony::outbound::Carrier;
use uuid::Uuid;

#[derive(Clone, FromRow)]
pub struct PhoneNumber {
    pub id: Uuid,
    pub account_id: String,
    /// twilio or voipms.
    pub provider: String,
    pub status: String,
    pub phone_number: Option<String>,
    pub number_ref: Option<String>,
    pub refused: Vec<String>,
    pub is_included: bool,
    /// Its order names it: no other is bought in its place.
    pub is_exact: bool,
    /// Where an order that names no number wants one.
    pub area_code: Option<String>,
}

macro_rules! numbers {
    ($which:literal) => {
        concat!(
            "select id, account_id, provider, status, phone_number, number_ref, refused, is_included, is_exact, area_code
             from phone_numbers ",
            $which
        )
    };
}

impl PhoneNumber {
    /// Whose number it is, or will be.
    pub fn carrier(&self) -> Carrier {
        Carrier::of(&self.provider)
    }

    /// The name it carries at the provider.
    pub fn tag(&self) -> String {
        format!("{TAG}{}", self.id)
    }
}

/// What the names of our numbers begin with; the order's id follows.
pub const TAG: &str = "ord:";

pub async fn load(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<PhoneNumber>> {
    sqlx::query_as(numbers!("where id = $1"))
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// The number the plan includes, or the order for it; none that was released.
pub async fn included(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Option<PhoneNumber>> {
    sqlx::query_as(numbers!(
        "where account_id = $1 and is_included and status <> 'released'"
    ))
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// Every number of an account that is not released.
pub async fn kept(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<PhoneNumber>> {
    sqlx::query_as(numbers!(
        "where account_id = $1 and status <> 'released' order by id"
    ))
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

/// Every number and order at a provider, released ones too, the oldest first.
pub async fn all(conn: &mut PgConnection, carrier: Carrier) -> sqlx::Result<Vec<PhoneNumber>> {
    sqlx::query_as(numbers!("where provider = $1 order by id"))
        .bind(carrier.as_str())
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

/// Write the candidate down; from now on it may be ours. False: the order went on without us, or another one of the
/// account reaches for that number.
pub async fn choose(conn: &mut PgConnection, id: Uuid, phone_number: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers n set status = 'buying', phone_number = $2, updated_at = now()
         where id = $1 and status = 'ordered' and phone_number is null
           and not exists (select from phone_numbers other
                           where other.phone_number = $2 and other.status <> 'released'
                             and (other.account_id = n.account_id
                                  or n.provider = 'voipms' and other.provider = 'voipms'))",
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

/// Nothing was bought, and nothing will be; `why` is the provider's code or a word of ours. False: it was known, or the
/// number is ours.
pub async fn give_up(
    conn: &mut PgConnection,
    id: Uuid,
    why: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set status = 'released', why = $2, released_at = $3, updated_at = now()
         where id = $1 and status in ('ordered', 'buying') and number_ref is null",
    )
    .bind(id)
    .bind(why)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A number that the provider lists and no row has.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    pub account_id: &'a str,
    pub phone_number: &'a str,
    pub number_ref: &'a str,
    pub friendly_name: &'a str,
    pub capabilities: &'a Value,
}

/// A number of the account that was bought elsewhere: ours from `now`, by which it is billed. False: a row has it, or
/// reaches for it.
pub async fn find(
    conn: &mut PgConnection,
    id: Uuid,
    found: Found<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into phone_numbers (id, account_id, status, phone_number, number_ref, friendly_name, capabilities,
                                    is_included, purchased_at, found_at)
         select $1, $2, 'configuring', $3, $4, nullif($5, ''), $6, false, $7, $7
         where not exists (select from phone_numbers where phone_number = $3 and status <> 'released'
                           and (account_id = $2 or status not in ('ordered', 'buying')))
         on conflict do nothing",
    )
    .bind(id)
    .bind(found.account_id)
    .bind(found.phone_number)
    .bind(found.number_ref)
    .bind(found.friendly_name)
    .bind(found.capabilities)
    .bind(now)
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

/// What the number can do turned out to be something else. False: it did not.
pub async fn is_able_to(
    conn: &mut PgConnection,
    id: Uuid,
    capabilities: &Value,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set capabilities = $2, updated_at = now()
         where id = $1 and capabilities is distinct from $2",
    )
    .bind(id)
    .bind(capabilities)
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

/// Every working number of a suspended account at Twilio is suspended with it. VoIP.ms knows no such state: for a number
/// there it is the account's standing that says no.
pub async fn suspend_all(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update phone_numbers set status = 'suspended', updated_at = now()
         where account_id = $1 and provider = 'twilio' and status in ('configuring', 'active')",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Of the numbers in use the oldest is the primary one, unless one is already. Under the account's lock.
pub async fn elect(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set is_primary = true
         where id = (select id from phone_numbers where account_id = $1 and status in ('active', 'suspended')
                     order by purchased_at, id limit 1)
           and not exists (select from phone_numbers
                           where account_id = $1 and is_primary and status in ('active', 'suspended'))",
    )
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// From here it cannot be kept any more, and is not billed after `now`. False: it went another way meanwhile.
pub async fn release(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set status = 'releasing', is_primary = false, released_at = $2, updated_at = now()
         where id = $1 and status in ('configuring', 'active', 'suspended')",
    )
    .bind(id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It is gone, or was never bought. False: that was known.
pub async fn released(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set status = 'released', released_at = coalesce(released_at, $2), updated_at = now()
         where id = $1 and status in ('ordered', 'buying', 'releasing')",
    )
    .bind(id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What an account has besides its included number and that has still to be bought or pointed at us.
pub async fn unfinished(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "select id from phone_numbers
         where account_id = $1 and not is_included
           and status in ('ordered', 'buying', 'configuring', 'suspended')
         order by id",
    )
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// Orders that have stood still since then, with their accounts and whether they are the included number's. That one
/// comes with telephony: it is an order of its own where telephony is active without it.
pub async fn stuck(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, String, bool)>> {
    sqlx::query_as(
        "select n.id, n.account_id, n.is_included from phone_numbers n join telephony t using (account_id)
         where (not n.is_included or t.status = 'active') and n.updated_at < $1
           and n.status in ('ordered', 'buying', 'configuring', 'suspended') and t.status not in ('suspended', 'released')
         order by n.updated_at limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Numbers whose way back to the provider has stood still since then, with their accounts.
pub async fn unreleased(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as(
        "select n.id, n.account_id from phone_numbers n left join telephony t using (account_id)
         where n.status = 'releasing' and n.updated_at < $1
            or n.status <> 'released' and t.status = 'suspended' and t.release_at < $1
         order by n.updated_at limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await
}
