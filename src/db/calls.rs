//! Calls, as the providers told of them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::telephony::calls::{Call, Status};
use uuid::Uuid;

use super::phone_log::{Page, Table};

/// A call as it is stored.
#[derive(Debug, Clone, FromRow)]
pub struct StoredCall {
    pub account_id: String,
    pub call_ref: String,
    pub parent_ref: Option<String>,
    pub direction: Option<String>,
    pub from_number: Option<String>,
    pub to_number: Option<String>,
    pub status: String,
    pub seconds: Option<i32>,
    pub began_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    pub cost_micros: Option<i64>,
}

/// A call as apps are shown it: with what its row has under the old names, in `legacy.call_logs`.
#[derive(Debug, Clone, FromRow)]
pub struct ShownCall {
    #[sqlx(flatten)]
    pub call: StoredCall,
    pub id: Uuid,
    /// The account's own number that it came to or went from.
    pub phone_number_id: Option<Uuid>,
    /// Its provider's id, `PN…`.
    pub phone_number_sid: Option<String>,
    /// `RE…`, of several the last one that is transcribed.
    pub recording_sid: Option<String>,
    /// The provider's account that the recording lies in. None: it lies there no more.
    pub recording_held_by: Option<String>,
    pub transcription_id: Option<Uuid>,
    /// What the provider takes, in `price_unit`. None: it has not said it yet.
    pub price: Option<f64>,
    /// ISO 4217.
    pub price_unit: String,
    /// What the app gave along that asked for it; empty where none did.
    pub metadata: Value,
    pub answered_at: Option<DateTime<Utc>>,
}

impl From<StoredCall> for Call {
    fn from(row: StoredCall) -> Call {
        Call {
            parent_ref: row.parent_ref,
            is_inbound: row.direction.map(|direction| direction == "inbound"),
            from: row.from_number,
            to: row.to_number,
            status: Status::of(&row.status).unwrap_or(Status::Queued),
            seconds: row.seconds.and_then(|seconds| seconds.try_into().ok()),
            began_at: row.began_at,
            ended_at: row.ended_at,
            cost_micros: row.cost_micros,
        }
    }
}

const COLUMNS: &str = "account_id, call_ref, parent_ref, direction, from_number, to_number, status, seconds, began_at,
     ended_at, updated_at, cost_micros";

const TABLE: Table = Table {
    name: "calls",
    id: "call_ref",
    columns: COLUMNS,
    shown: "one.*, log.id, log.phone_number_id, log.phone_number_sid, log.recording_sid, log.transcription_id,
            log.price::float8 as price, log.price_unit, log.metadata, log.answered_at,
            (select r.held_by_ref from recordings r
             where r.account_id = one.account_id and r.recording_ref = log.recording_sid and r.removed_at is null)
                as recording_held_by",
    beside: "join legacy.call_logs log on log.call_sid = one.call_ref",
};

/// One call of an account, locked until the transaction ends. Nobody stores a first row of it beside this one: the
/// caller has locked the account.
pub async fn lock(
    conn: &mut PgConnection,
    account_id: &str,
    call_ref: &str,
) -> sqlx::Result<Option<StoredCall>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from calls where account_id = $1 and call_ref = $2 for update"
    )))
    .bind(account_id)
    .bind(call_ref)
    .fetch_optional(conn)
    .await
}

/// Store what is known of a call by now.
pub async fn store(
    conn: &mut PgConnection,
    account_id: &str,
    call_ref: &str,
    call: &Call,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into calls (account_id, call_ref, parent_ref, direction, from_number, to_number, status, seconds,
                            began_at, ended_at, updated_at, cost_micros)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (account_id, call_ref) do update
         set parent_ref = excluded.parent_ref, direction = excluded.direction, from_number = excluded.from_number,
             to_number = excluded.to_number, status = excluded.status, seconds = excluded.seconds,
             began_at = excluded.began_at, ended_at = excluded.ended_at, updated_at = excluded.updated_at,
             cost_micros = excluded.cost_micros",
    )
    .bind(account_id)
    .bind(call_ref)
    .bind(&call.parent_ref)
    .bind(call.is_inbound.map(direction))
    .bind(&call.from)
    .bind(&call.to)
    .bind(call.status.as_str())
    .bind(call.seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)))
    .bind(call.began_at)
    .bind(call.ended_at)
    .bind(now)
    .bind(call.cost_micros)
    .execute(conn)
    .await?;
    Ok(())
}

/// How the direction of a call or a message is stored.
pub fn direction(is_inbound: bool) -> &'static str {
    match is_inbound {
        true => "inbound",
        false => "outbound",
    }
}

/// One call of an account, as apps are shown it.
pub async fn load(
    conn: &mut PgConnection,
    account_id: &str,
    call_ref: &str,
) -> sqlx::Result<Option<ShownCall>> {
    let Table { shown, beside, .. } = TABLE;
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {shown} from (select {COLUMNS} from calls where account_id = $1 and call_ref = $2) as one {beside}"
    )))
    .bind(account_id)
    .bind(call_ref)
    .fetch_optional(conn)
    .await
}

/// The provider's id of the call that has this id under the old names. That one is computed, so all calls of the account
/// are looked through; in a transaction of [`super::as_account`].
pub async fn ref_of_id(
    conn: &mut PgConnection,
    account_id: &str,
    id: Uuid,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select call_sid from legacy.call_logs where user_id = $1 and id = $2")
        .bind(account_id)
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// Whose call it is.
pub async fn owner(conn: &mut PgConnection, call_ref: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select account_id from calls where call_ref = $1 order by account_id limit 1",
    )
    .bind(call_ref)
    .fetch_optional(conn)
    .await
}

/// Calls of an account, the newest first, as apps are shown them.
pub async fn list(
    conn: &mut PgConnection,
    account_id: &str,
    page: &Page<'_>,
) -> sqlx::Result<Vec<ShownCall>> {
    page.of(conn, account_id, &TABLE).await
}
