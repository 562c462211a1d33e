//! Who wrote with whom: of each pair of numbers the last messages.

use sqlx::{FromRow, PgConnection};

use super::{
    messages::{COLUMNS, StoredMessage},
    phone_log::Page,
};

/// A message, and between which numbers it went.
#[derive(Debug, Clone, FromRow)]
pub struct Said {
    pub our_number: String,
    pub their_number: String,
    #[sqlx(flatten)]
    pub message: StoredMessage,
}

/// A part of an account's conversations, that with the newest message first: of each its last messages, so many of them.
///
/// A page stands behind the last message of a conversation. The pairs of numbers are found by a loose index scan: it takes
/// a step for each conversation, however many messages that has.
pub async fn list(
    conn: &mut PgConnection,
    account_id: &str,
    page: &Page<'_>,
    of_each: i64,
) -> sqlx::Result<Vec<Said>> {
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
             select pairs.*, last.began_at as last_at, last.message_ref as last_ref
             from pairs cross join lateral (
                 select m.began_at, m.message_ref from messages m
                 where m.account_id = $1 and m.our_number = pairs.our_number and m.their_number = pairs.their_number
                 order by m.began_at desc, m.message_ref desc limit 1) last
             where ($2::text is null or pairs.our_number = $2 or pairs.their_number = $2)
               and ($3::timestamptz is null or (last.began_at, last.message_ref) < ($3, $4))
             order by last.began_at desc, last.message_ref desc limit $5
         )
         select found.our_number, found.their_number, said.*
         from found cross join lateral (
             select {COLUMNS} from messages
             where account_id = $1 and our_number = found.our_number and their_number = found.their_number
             order by began_at desc, message_ref desc limit $6) said
         order by found.last_at desc, found.last_ref desc, said.began_at desc, said.message_ref desc"
    )))
    .bind(account_id)
    .bind(page.number)
    .bind(page.behind.map(|(began_at, _)| began_at))
    .bind(page.behind.map(|(_, id)| id))
    .bind(page.limit)
    .bind(of_each)
    .fetch_all(conn)
    .await
}
