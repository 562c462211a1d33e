//! The rows of the journal. What they mean is decided in `tollkeeper_jobs::outside`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, types::Json};
use tollkeeper_jobs::outside::{Refusal, Row, State};
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub struct ProviderCall {
    pub id: Uuid,
    pub subject: String,
    state: String,
    epoch: i32,
    pub request_sha256: Vec<u8>,
    first_sent_at: Option<DateTime<Utc>>,
    last_sent_at: Option<DateTime<Utc>>,
    unknown_since: Option<DateTime<Utc>>,
    must_look: bool,
    refusal: Option<Json<Refusal>>,
    ext_ref: Option<String>,
    pub answer: Option<Value>,
    last_error: Option<String>,
}

impl ProviderCall {
    /// The part of the row that the rules look at.
    pub fn row(&self) -> Row {
        Row {
            state: match self.state.as_str() {
                "planned" => State::Planned,
                "sent" => State::Sent,
                "done" => State::Done,
                _ => State::Dead,
            },
            epoch: self.epoch,
            first_sent_at: self.first_sent_at,
            last_sent_at: self.last_sent_at,
            unknown_since: self.unknown_since,
            must_look: self.must_look,
            refusal: self.refusal.as_ref().map(|refusal| refusal.0.clone()),
            ext_ref: self.ext_ref.clone(),
            last_error: self.last_error.clone(),
        }
    }
}

fn stored(state: State) -> &'static str {
    match state {
        State::Planned => "planned",
        State::Sent => "sent",
        State::Done => "done",
        State::Dead => "dead",
    }
}

/// What identifies an effect.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub provider: &'a str,
    pub kind: &'a str,
    pub subject: &'a str,
    pub account_id: &'a str,
    pub request_sha256: &'a [u8],
}

/// Plan an effect. False: it is planned already.
pub async fn plan(conn: &mut PgConnection, identity: Identity<'_>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into provider_calls (id, provider, kind, subject, account_id, request_sha256, state)
         values ($1, $2, $3, $4, $5, $6, 'planned')
         on conflict (provider, kind, subject) do nothing",
    )
    .bind(Uuid::now_v7())
    .bind(identity.provider)
    .bind(identity.kind)
    .bind(identity.subject)
    .bind(identity.account_id)
    .bind(identity.request_sha256)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The database's time, by which all processes measure how long a request has been open.
pub async fn now(conn: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(conn)
        .await
}

/// The row of an effect, locked until the transaction ends.
pub async fn lock(
    conn: &mut PgConnection,
    provider: &str,
    kind: &str,
    subject: &str,
) -> sqlx::Result<Option<ProviderCall>> {
    sqlx::query_as(
        "select id, subject, state, epoch, request_sha256, first_sent_at, last_sent_at, unknown_since,
                must_look, refusal, ext_ref, answer, last_error
         from provider_calls where provider = $1 and kind = $2 and subject = $3 for update",
    )
    .bind(provider)
    .bind(kind)
    .bind(subject)
    .fetch_optional(conn)
    .await
}

/// The effects of one kind that were asked for on behalf of an account.
pub async fn of_account(
    conn: &mut PgConnection,
    provider: &str,
    kind: &str,
    account_id: &str,
) -> sqlx::Result<Vec<ProviderCall>> {
    sqlx::query_as(
        "select id, subject, state, epoch, request_sha256, first_sent_at, last_sent_at, unknown_since,
                must_look, refusal, ext_ref, answer, last_error
         from provider_calls where account_id = $1 and provider = $2 and kind = $3",
    )
    .bind(account_id)
    .bind(provider)
    .bind(kind)
    .fetch_all(conn)
    .await
}

/// Write ahead: the request is about to leave, on behalf of this run.
pub async fn write_ahead(
    conn: &mut PgConnection,
    id: Uuid,
    row: &Row,
    attempt: i32,
    lease_token: Uuid,
) -> sqlx::Result<()> {
    sqlx::query(
        "update provider_calls
         set state = $2, epoch = $3, first_sent_at = $4, last_sent_at = $5, unknown_since = $6,
             must_look = $7, refusal = null, attempt = $8, lease_token = $9
         where id = $1",
    )
    .bind(id)
    .bind(stored(row.state))
    .bind(row.epoch)
    .bind(row.first_sent_at)
    .bind(row.last_sent_at)
    .bind(row.unknown_since)
    .bind(row.must_look)
    .bind(attempt)
    .bind(lease_token)
    .execute(conn)
    .await?;
    Ok(())
}

/// Record a success, whoever brings it: what happened, happened. False: another one is recorded.
pub async fn succeed(
    conn: &mut PgConnection,
    id: Uuid,
    ext_ref: &str,
    answer: &Value,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update provider_calls
         set state = 'done', ext_ref = $2, answer = coalesce(answer, $3), last_error = null,
             refusal = null, done_at = coalesce(done_at, now())
         where id = $1 and (ext_ref is null or ext_ref = $2)",
    )
    .bind(id)
    .bind(ext_ref)
    .bind(answer)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Record how a request failed; only for the run that sent it. False: another run has taken over.
pub async fn fail(
    conn: &mut PgConnection,
    id: Uuid,
    row: &Row,
    error: &str,
    attempt: i32,
    lease_token: Uuid,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update provider_calls
         set state = $2, epoch = $3, first_sent_at = $4, unknown_since = $5, must_look = $6,
             refusal = $7, last_error = $8
         where id = $1 and attempt = $9 and lease_token = $10 and state = 'sent'",
    )
    .bind(id)
    .bind(stored(row.state))
    .bind(row.epoch)
    .bind(row.first_sent_at)
    .bind(row.unknown_since)
    .bind(row.must_look)
    .bind(row.refusal.as_ref().map(Json))
    .bind(error)
    .bind(attempt)
    .bind(lease_token)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
