//! The numbers that are rented at VoIP.ms, and how far their lists of messages were read.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// A number in use.
#[derive(Clone, FromRow)]
pub struct VoipmsNumber {
    pub id: Uuid,
    pub account_id: String,
    /// E.164.
    pub phone_number: String,
    /// Since when it is the account's, to the second as the lists are: what was written to it before is somebody else's.
    pub held_since: DateTime<Utc>,
    /// Until when its messages were read; at first since when it is held.
    pub read_until: DateTime<Utc>,
}

macro_rules! numbers {
    ($which:literal) => {
        concat!(
            "select id, account_id, phone_number, date_trunc('second', coalesce(purchased_at, created_at)) as held_since,
                    coalesce(messages_read_until, purchased_at, created_at) as read_until
             from phone_numbers
             where provider = 'voipms' and status not in ('ordered', 'buying', 'released') and ",
            $which
        )
    };
}

/// Whoever has it.
pub async fn named(
    conn: &mut PgConnection,
    phone_number: &str,
) -> sqlx::Result<Option<VoipmsNumber>> {
    sqlx::query_as(numbers!("phone_number = $1"))
        .bind(phone_number)
        .fetch_optional(conn)
        .await
}

/// Those of an account.
pub async fn held(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<VoipmsNumber>> {
    sqlx::query_as(numbers!("account_id = $1 order by id"))
        .bind(account_id)
        .fetch_all(conn)
        .await
}

/// The accounts that have any.
pub async fn holders(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct account_id from phone_numbers
         where provider = 'voipms' and status not in ('ordered', 'buying', 'released') order by account_id",
    )
    .fetch_all(conn)
    .await
}

/// Its messages were read until then. False: further than that already.
pub async fn was_read(
    conn: &mut PgConnection,
    id: Uuid,
    until: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_numbers set messages_read_until = $2
         where id = $1 and (messages_read_until is null or messages_read_until < $2)",
    )
    .bind(id)
    .bind(until)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
