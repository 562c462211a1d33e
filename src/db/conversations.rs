//! Who wrote with whom: of each pair of numbers the last messages.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

use super::{
    messages::{self, ShownMessage},
    phone_log::{Page, Table},
};

/// A message, and between which numbers it went.
#[derive(Debug, Clone, FromRow)]
pub struct Said {
    pub our_number: String,
    pub their_number: String,
    /// When the first message went between them.
    pub first_at: DateTime<Utc>,
    #[sqlx(flatten)]
    pub message: ShownMessage,
}

/// How many messages are told.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Of each conversation, its last ones.
    pub of_each: usize,
    /// Of all together; so the last conversation may lack some.
    pub in_all: usize,
}

/// A part of an account's conversations, that with the newest message first: of each its last messages, so many of them.
///
/// A page stands behind the last message of a conversation. The pairs of numbers are found by a loose index scan: it takes
/// a step for each conversation, however many messages that has.
pub async fn list(
    conn: &mut PgConnection,
    account_id: &str,
    page: &Page<'_>,
    most: Most,
) -> sqlx::Result<Vec<Said>> {
    let Table {
        columns,
        shown,
        beside,
        ..
    } = messages::TABLE;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "with recursive pairs as (
             (select our_number, their_number from messages
              where account_id = $1 and our_number is not null and their_number is not null
              order by our_number, their_number limit 1)
             union all
             select next.our_number, next.their_number
             from pairs cross join lateral (
                 select m.our_number, m.their_number from messages m
                 where m.account_id = $1 and (m.our_number, m.their_number) > (pairs.our_number, pairs.their_number)
                   and m.their_number is not null
                 order by m.our_number, m.their_number limit 1) next
         ),
         found as (
             select pairs.*, last.began_at as last_at, last.message_ref as last_ref,
                    (select min(m.began_at) from messages m
                     where m.account_id = $1 and m.our_number = pairs.our_number and m.their_number = pairs.their_number)
                        as first_at
             from pairs cross join lateral (
                 select m.began_at, m.message_ref from messages m
                 where m.account_id = $1 and m.our_number = pairs.our_number and m.their_number = pairs.their_number
                 order by m.began_at desc, m.message_ref desc limit 1) last
             where ($2::text is null or pairs.our_number = $2 or pairs.their_number = $2)
               and ($3::timestamptz is null or (last.began_at, last.message_ref) < ($3, $4))
             order by last.began_at desc, last.message_ref desc limit $5
         ),
         said as (
             select found.*, last.*
             from found cross join lateral (
                 select {columns} from messages
                 where account_id = $1 and our_number = found.our_number and their_number = found.their_number
                 order by began_at desc, message_ref desc limit $6) last
             order by found.last_at desc, found.last_ref desc, last.began_at desc, last.message_ref desc limit $7
         )
         select {shown} from said as one {beside}
         order by one.last_at desc, one.last_ref desc, one.began_at desc, one.message_ref desc"
    )))
    .bind(account_id)
    .bind(page.number)
    .bind(page.behind.map(|(began_at, _)| began_at))
    .bind(page.behind.map(|(_, id)| id))
    .bind(page.limit)
    .bind(i64::try_from(most.of_each).unwrap_or(i64::MAX))
    .bind(i64::try_from(most.in_all).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await
}
