//! Calls and messages that apps asked for.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::telephony::outbound::{Carrier, Channel};
use uuid::Uuid;

/// A wish as it is stored. Amounts are millionths of a US dollar.
#[derive(Debug, Clone, FromRow)]
pub struct Outbound {
    pub id: Uuid,
    pub account_id: String,
    /// call or message.
    pub channel: String,
    pub asked_by: String,
    pub idempotency_key: Option<String>,
    pub request_sha256: Vec<u8>,
    /// twilio or voipms.
    pub provider: String,
    /// The account there; VoIP.ms has but one, which is called as it is.
    pub provider_ref: String,
    pub is_fallback: bool,
    pub from_number: String,
    pub to_number: String,
    pub body: String,
    pub is_recorded: bool,
    pub metadata: Option<Value>,
    pub hold_id: Option<Uuid>,
    pub units: i32,
    pub cost_micros: i64,
    /// asked, sent, settled or failed.
    pub state: String,
    /// The provider's id, once it has it.
    pub ext_ref: Option<String>,
    pub error_code: Option<String>,
    pub asked_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl Outbound {
    pub fn channel(&self) -> Channel {
        match self.channel.as_str() {
            "call" => Channel::Call,
            _ => Channel::Message,
        }
    }

    pub fn carrier(&self) -> Carrier {
        Carrier::of(&self.provider)
    }

    /// The day whose money it is.
    pub fn day(&self) -> NaiveDate {
        self.asked_at.date_naive()
    }
}

const COLUMNS: &str = "id, account_id, channel, asked_by, idempotency_key, request_sha256, provider, provider_ref,
     is_fallback, from_number, to_number, body, is_recorded, metadata, hold_id, units, cost_micros, state, ext_ref, error_code,
     asked_at, expires_at";

/// Store a wish. Its account is locked.
pub async fn insert(conn: &mut PgConnection, wish: &Outbound) -> sqlx::Result<()> {
    sqlx::query(
        "insert into outbound (id, account_id, channel, asked_by, idempotency_key, request_sha256, provider_ref,
                               is_fallback, from_number, to_number, body, is_recorded, metadata, hold_id, units,
                               cost_micros, asked_at, expires_at, updated_at, provider)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $17, $19)",
    )
    .bind(wish.id)
    .bind(&wish.account_id)
    .bind(&wish.channel)
    .bind(&wish.asked_by)
    .bind(&wish.idempotency_key)
    .bind(&wish.request_sha256)
    .bind(&wish.provider_ref)
    .bind(wish.is_fallback)
    .bind(&wish.from_number)
    .bind(&wish.to_number)
    .bind(&wish.body)
    .bind(wish.is_recorded)
    .bind(&wish.metadata)
    .bind(wish.hold_id)
    .bind(wish.units)
    .bind(wish.cost_micros)
    .bind(wish.asked_at)
    .bind(wish.expires_at)
    .bind(&wish.provider)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn load(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Outbound>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from outbound where id = $1"
    )))
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// A wish, and where what became of it stands.
#[derive(Debug, Clone, FromRow)]
pub struct Standing {
    #[sqlx(flatten)]
    pub wish: Outbound,
    /// In the provider's words; none while it does not have it.
    pub status: Option<String>,
    pub status_at: Option<DateTime<Utc>>,
}

/// A wish of an account, in a transaction of [`super::as_account`].
pub async fn standing(
    conn: &mut PgConnection,
    account_id: &str,
    id: Uuid,
) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS},
                coalesce((select status from calls c where (c.account_id, c.call_ref) = (o.account_id, o.ext_ref)),
                         (select status from messages m where (m.account_id, m.message_ref) = (o.account_id, o.ext_ref)))
                    as status,
                updated_at as status_at
         from outbound o where account_id = $1 and id = $2"
    )))
    .bind(account_id)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// What was asked for with this key.
pub async fn of_key(
    conn: &mut PgConnection,
    account_id: &str,
    key: &str,
) -> sqlx::Result<Option<Outbound>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from outbound where account_id = $1 and idempotency_key = $2"
    )))
    .bind(account_id)
    .bind(key)
    .fetch_optional(conn)
    .await
}

/// The same wish, asked for without a key after that moment, unless it failed: what was never sent may be asked again.
pub async fn same_since(
    conn: &mut PgConnection,
    account_id: &str,
    request_sha256: &[u8],
    since: DateTime<Utc>,
) -> sqlx::Result<Option<Outbound>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from outbound
         where account_id = $1 and request_sha256 = $2 and asked_at > $3 and idempotency_key is null
           and state <> 'failed'
         order by asked_at desc limit 1"
    )))
    .bind(account_id)
    .bind(request_sha256)
    .bind(since)
    .fetch_optional(conn)
    .await
}

/// The wish that the provider has under this id.
pub async fn of_ref(
    conn: &mut PgConnection,
    account_id: &str,
    ext_ref: &str,
) -> sqlx::Result<Option<Outbound>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from outbound where account_id = $1 and ext_ref = $2"
    )))
    .bind(account_id)
    .bind(ext_ref)
    .fetch_optional(conn)
    .await
}

/// Which of these ids are of wishes of the account, or of anybody's from the main account's number.
pub async fn known_refs(
    conn: &mut PgConnection,
    account_id: &str,
    refs: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select ext_ref from outbound where account_id = $1 and ext_ref = any($2)
         union select ext_ref from outbound where is_fallback and ext_ref = any($2)",
    )
    .bind(account_id)
    .bind(refs)
    .fetch_all(conn)
    .await
}

/// What an account's wishes became in the main account at the provider, whose lists are everybody's.
#[derive(Debug, Clone, FromRow)]
pub struct Fallbacks {
    pub provider_ref: String,
    /// When the first of them was asked for.
    pub since: DateTime<Utc>,
    pub refs: Vec<String>,
}

/// Those of an account that left from the main account's number after one moment and are not settled, or after the other.
pub async fn fallbacks(
    conn: &mut PgConnection,
    account_id: &str,
    open_since: DateTime<Utc>,
    any_since: DateTime<Utc>,
) -> sqlx::Result<Vec<Fallbacks>> {
    sqlx::query_as(
        "select provider_ref, min(asked_at) as since, array_agg(ext_ref) as refs from outbound
         where account_id = $1 and is_fallback and ext_ref is not null
           and ((state = 'sent' and asked_at > $2) or asked_at > $3)
         group by provider_ref order by provider_ref",
    )
    .bind(account_id)
    .bind(open_since)
    .bind(any_since)
    .fetch_all(conn)
    .await
}

/// The accounts that have any since then.
pub async fn fallback_users(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct account_id from outbound
         where is_fallback and ext_ref is not null and asked_at > $1 order by account_id",
    )
    .bind(since)
    .fetch_all(conn)
    .await
}

/// Whether something of its sort that was asked for earlier, from the same number to the same one, is not decided yet;
/// from the main account's number, by anybody. (Calls and messages are in lists of their own at the provider.) What was not wanted any more before that moment is nobody's concern: its job is dead.
pub async fn is_behind_another(
    conn: &mut PgConnection,
    wish: &Outbound,
    wanted_since: DateTime<Utc>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from outbound
                        where account_id = $1 and from_number = $2 and to_number = $3 and channel = $7
                          and state = 'asked' and id < $4 and expires_at > $5)
             or $6 and exists (select from outbound
                               where is_fallback and from_number = $2 and to_number = $3 and channel = $7
                                 and state = 'asked' and id < $4 and expires_at > $5)",
    )
    .bind(&wish.account_id)
    .bind(&wish.from_number)
    .bind(&wish.to_number)
    .bind(wish.id)
    .bind(wanted_since)
    .bind(wish.is_fallback)
    .bind(&wish.channel)
    .fetch_one(conn)
    .await
}

/// A wish that is not decided, and that no job carries out.
#[derive(Debug, Clone, FromRow)]
pub struct LeftBehind {
    #[sqlx(flatten)]
    pub wish: Outbound,
    /// Its job is dead, and may be run again.
    pub has_job: bool,
}

/// Wishes that are not decided and have no live job: it is stored with them, so it has ended without them. The oldest
/// first.
pub async fn left_behind(conn: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<LeftBehind>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS},
                exists (select from queue.jobs job
                        where job.kind in ('place_call', 'send_message') and job.key = o.id::text) as has_job
         from outbound o
         where o.state = 'asked'
           and not exists (select from queue.jobs job
                           where job.kind in ('place_call', 'send_message') and job.key = o.id::text
                             and job.state <> 'dead')
         -- Those that nobody can decide leave room for the others.
         order by o.error_code is not null, o.asked_at limit $1"
    )))
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Whether a wish is still to be carried out.
pub async fn is_asked(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from outbound where id = $1 and state = 'asked')")
        .bind(id)
        .fetch_one(conn)
        .await
}

/// Nobody knows whether it was sent. What is set aside for it stays.
pub async fn unknown(
    conn: &mut PgConnection,
    id: Uuid,
    error_code: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update outbound set error_code = $2, updated_at = $3
         where id = $1 and state = 'asked' and error_code is distinct from $2",
    )
    .bind(id)
    .bind(error_code)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The provider has it. False: that was known.
pub async fn sent(
    conn: &mut PgConnection,
    id: Uuid,
    ext_ref: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update outbound set state = 'sent', ext_ref = $2, error_code = null, updated_at = $3
         where id = $1 and state = 'asked'",
    )
    .bind(id)
    .bind(ext_ref)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It was never sent, and will not be; it costs nothing. False: it went another way.
pub async fn failed(
    conn: &mut PgConnection,
    id: Uuid,
    error_code: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update outbound set state = 'failed', error_code = $2, cost_micros = 0, updated_at = $3
         where id = $1 and state = 'asked'",
    )
    .bind(id)
    .bind(error_code)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It is known what it took. False: that was known.
pub async fn settled(
    conn: &mut PgConnection,
    id: Uuid,
    cost_micros: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update outbound set state = 'settled', cost_micros = $2, updated_at = $3 where id = $1 and state = 'sent'",
    )
    .bind(id)
    .bind(cost_micros)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
