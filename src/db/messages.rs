//! Messages, as the providers told of them, and who wants none.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::telephony::messages::{Message, Status};
use uuid::Uuid;

use super::{
    calls::direction,
    phone_log::{Page, Table},
};

/// A message as it is stored.
#[derive(Debug, Clone, FromRow)]
pub struct StoredMessage {
    pub account_id: String,
    pub message_ref: String,
    pub direction: Option<String>,
    pub from_number: Option<String>,
    pub to_number: Option<String>,
    pub body: Option<String>,
    pub segments: Option<i32>,
    pub media: i32,
    pub status: String,
    pub error_code: Option<String>,
    pub began_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub cost_micros: Option<i64>,
}

/// A message as apps are shown it: with what its row has under the old names, in `legacy.sms_messages`.
#[derive(Debug, Clone, FromRow)]
pub struct ShownMessage {
    #[sqlx(flatten)]
    pub message: StoredMessage,
    pub id: Uuid,
    /// The account's own number that it came to or went from.
    pub phone_number_id: Option<Uuid>,
    /// None: it is not known yet between which numbers it went.
    pub conversation_id: Option<Uuid>,
    /// What the provider takes, in `price_unit`. None: it has not said it yet.
    pub price: Option<f64>,
    /// ISO 4217.
    pub price_unit: String,
    pub error_message: Option<String>,
    /// What the app gave along that asked for it; empty where none did.
    pub metadata: Value,
    pub sent_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
}

impl From<StoredMessage> for Message {
    fn from(row: StoredMessage) -> Message {
        Message {
            is_inbound: row.direction.map(|direction| direction == "inbound"),
            from: row.from_number,
            to: row.to_number,
            body: row.body,
            segments: row.segments.and_then(|segments| segments.try_into().ok()),
            media: row.media.try_into().unwrap_or_default(),
            status: Status::of(&row.status).unwrap_or(Status::Queued),
            error_code: row.error_code,
            began_at: row.began_at,
            cost_micros: row.cost_micros,
        }
    }
}

const COLUMNS: &str =
    "account_id, message_ref, direction, from_number, to_number, body, segments, media, status,
     error_code, began_at, updated_at, cost_micros";

pub(super) const TABLE: Table = Table {
    name: "messages",
    id: "message_ref",
    columns: COLUMNS,
    shown: "one.*, sms.id, sms.phone_number_id, sms.conversation_id, sms.price::float8 as price, sms.price_unit,
            sms.error_message, sms.metadata, sms.sent_at, sms.delivered_at",
    beside: "join legacy.sms_messages sms on sms.message_sid = one.message_ref",
};

/// One message of an account, locked until the transaction ends. Nobody stores a first row of it beside this one: the
/// caller has locked the account.
pub async fn lock(
    conn: &mut PgConnection,
    account_id: &str,
    message_ref: &str,
) -> sqlx::Result<Option<StoredMessage>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from messages where account_id = $1 and message_ref = $2 for update"
    )))
    .bind(account_id)
    .bind(message_ref)
    .fetch_optional(conn)
    .await
}

/// Store what is known of a message by now.
pub async fn store(
    conn: &mut PgConnection,
    account_id: &str,
    provider: &str,
    message_ref: &str,
    message: &Message,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    sqlx::query(
        "insert into messages (account_id, message_ref, direction, from_number, to_number, body, segments, media,
                               status, error_code, began_at, updated_at, cost_micros, provider)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (account_id, message_ref) do update
         set direction = excluded.direction, from_number = excluded.from_number, to_number = excluded.to_number,
             body = excluded.body, segments = excluded.segments, media = excluded.media, status = excluded.status,
             error_code = excluded.error_code, began_at = excluded.began_at, updated_at = excluded.updated_at,
             cost_micros = excluded.cost_micros",
    )
    .bind(account_id)
    .bind(message_ref)
    .bind(message.is_inbound.map(direction))
    .bind(&message.from)
    .bind(&message.to)
    .bind(&message.body)
    .bind(message.segments.map(count))
    .bind(count(message.media))
    .bind(message.status.as_str())
    .bind(&message.error_code)
    .bind(message.began_at)
    .bind(now)
    .bind(message.cost_micros)
    .bind(provider)
    .execute(conn)
    .await?;
    Ok(())
}

/// Messages of an account, the newest first, as apps are shown them.
pub async fn list(
    conn: &mut PgConnection,
    account_id: &str,
    page: &Page<'_>,
) -> sqlx::Result<Vec<ShownMessage>> {
    page.of(conn, account_id, &TABLE).await
}

/// They said whether they want messages from this number. Only the last word counts, whenever it comes.
pub async fn said(
    conn: &mut PgConnection,
    account_id: &str,
    our_number: &str,
    their_number: &str,
    is_out: bool,
    said_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into opt_outs as o (account_id, our_number, their_number, is_out, said_at) values ($1, $2, $3, $4, $5)
         on conflict (account_id, our_number, their_number) do update
         set is_out = excluded.is_out, said_at = excluded.said_at where o.said_at <= excluded.said_at",
    )
    .bind(account_id)
    .bind(our_number)
    .bind(their_number)
    .bind(is_out)
    .bind(said_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether somebody wants no messages from a number: by the last they said, whosever number it was then.
pub async fn is_opted_out(
    conn: &mut PgConnection,
    our_number: &str,
    their_number: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select coalesce((select is_out from opt_outs where our_number = $1 and their_number = $2
                          order by said_at desc limit 1), false)",
    )
    .bind(our_number)
    .bind(their_number)
    .fetch_one(conn)
    .await
}

/// Whether a message from one number to another is to be left without an answer: its sender wants none, is a number of
/// ours, or has written so often of late that it may be a machine answering a machine.
pub async fn is_better_unanswered(
    conn: &mut PgConnection,
    their_number: &str,
    our_number: &str,
    since: DateTime<Utc>,
    often: i64,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select coalesce((select is_out from opt_outs where our_number = $2 and their_number = $1
                          order by said_at desc limit 1), false)
             or exists (select from phone_numbers
                        where phone_number = $1 and status not in ('ordered', 'buying', 'released'))
             or (select count(*) from messages m join phone_numbers n using (account_id)
                 where n.phone_number = $2 and n.status not in ('ordered', 'buying', 'released') and m.began_at > $3
                   and m.from_number = $1 and m.to_number = $2) >= $4",
    )
    .bind(their_number)
    .bind(our_number)
    .bind(since)
    .bind(often)
    .fetch_one(conn)
    .await
}
