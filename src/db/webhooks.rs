//! Every verified webhook, once, before it is acknowledged.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{
    FromRow, PgConnection, Postgres,
    postgres::{PgArguments, PgRow},
    query::QueryScalar,
};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

/// A verified webhook, ready to be stored.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    pub id: Uuid,
    pub provider: Provider,
    /// The same for every copy, and for nothing else of this provider.
    pub event_key: String,
    pub kind: String,
    /// Which secret, token or account verified it.
    pub endpoint: String,
    /// What of the request beside the body may matter later.
    pub headers: Value,
    /// Byte for byte as it was signed.
    pub body: Vec<u8>,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Stripe,
    Twilio,
    Voipms,
}

impl Provider {
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Stripe => "stripe",
            Provider::Twilio => "twilio",
            Provider::Voipms => "voipms",
        }
    }
}

/// What is to become of a new webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its job is stored with it.
    Stored,
    /// Nothing here wants it.
    Ignored,
    /// Kept whole for a part of the service that takes it up later.
    Held,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Stored => "stored",
            State::Ignored => "ignored",
            State::Held => "held",
        }
    }
}

/// Store those that are not there yet; the answer names the ids of the new ones.
///
/// A copy that another transaction is just storing is waited for, so that "not new" means "committed".
pub async fn insert_all(
    conn: &mut PgConnection,
    webhooks: &[&NewWebhook],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    bound(include_str!("insert_webhooks.sql"), webhooks, now)
        .fetch_all(conn)
        .await
}

/// A statement with the nine columns of `insert_webhooks.sql` bound, in the order of the keys: two callers
/// never lock each other out. Sorted here, since a sort in the database copies every body.
fn bound<'q, O>(
    sql: &'static str,
    webhooks: &'q [&NewWebhook],
    now: DateTime<Utc>,
) -> QueryScalar<'q, Postgres, O, PgArguments>
where
    (O,): for<'r> FromRow<'r, PgRow>,
{
    let mut webhooks = webhooks.to_vec();
    webhooks.sort_by_key(|webhook| (webhook.provider.as_str(), webhook.event_key.as_str()));
    let column = |of: fn(&NewWebhook) -> &str| webhooks.iter().map(|w| of(w)).collect::<Vec<_>>();
    sqlx::query_scalar(sql)
        .bind(webhooks.iter().map(|w| w.id).collect::<Vec<_>>())
        .bind(column(|w| w.provider.as_str()))
        .bind(column(|w| &w.event_key))
        .bind(column(|w| &w.kind))
        .bind(column(|w| &w.endpoint))
        .bind(webhooks.iter().map(|w| &w.headers).collect::<Vec<_>>())
        .bind(
            webhooks
                .iter()
                .map(|w| w.body.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(column(|w| w.state.as_str()))
        .bind(now)
}

/// A job that is wanted at once if its webhook is new, and that nothing else asks for: its key is the
/// webhook's id.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub webhook_id: Uuid,
    pub job: &'a NewJob,
    /// The Stripe customer whose account's turn it takes, if that account is known.
    pub customer_ref: Option<&'a str>,
}

/// Store those that are not there yet, each with its job; the answer names the ids of the new ones.
/// One round trip, durable when it answers.
///
/// Where all are copies it waits as long as one that stores. A transaction that wrote nothing commits at
/// once, whatever a standby has. But a webhook whose commit was waiting for the standby when the primary
/// went down is there after the restart, on the primary alone: its copy would be acknowledged, and lost
/// with that server.
pub async fn take_in(
    conn: &mut PgConnection,
    webhooks: &[&NewWebhook],
    wanted: &[Wanted<'_>],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    let jobs = || wanted.iter().map(|wanted| wanted.job);
    debug_assert!(
        wanted
            .iter()
            .all(|wanted| wanted.job.key == wanted.webhook_id.to_string())
    );
    let ids: Vec<Option<Uuid>> = bound(
        concat!(
            "with new as (",
            include_str!("insert_webhooks.sql"),
            "), jobs as (",
            include_str!("webhook_jobs.sql"),
            ")
             select id from new
             union all
             select null from (select pg_logical_emit_message(true, 'tollkeeper', '')) confirmed
             where not exists (select from new)"
        ),
        webhooks,
        now,
    )
    .bind(wanted.iter().map(|w| w.webhook_id).collect::<Vec<_>>())
    .bind(jobs().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind(jobs().map(|job| job.kind).collect::<Vec<_>>())
    .bind(
        jobs()
            .map(|job| job.account_id.as_deref().unwrap_or_default())
            .collect::<Vec<_>>(),
    )
    .bind(wanted.iter().map(|w| w.customer_ref).collect::<Vec<_>>())
    .bind(jobs().map(|job| job.lane.as_str()).collect::<Vec<_>>())
    .bind(jobs().map(|job| job.priority).collect::<Vec<_>>())
    .bind(jobs().map(|job| job.attempts_max).collect::<Vec<_>>())
    .bind(jobs().map(|job| job.version).collect::<Vec<_>>())
    .bind(jobs().map(|job| &job.payload).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().flatten().collect())
}

/// A stored webhook, as its job sees it.
#[derive(Debug, Clone, FromRow)]
pub struct StoredWebhook {
    pub id: Uuid,
    pub kind: String,
    /// Which secret, token or account verified it.
    pub endpoint: String,
    pub headers: Value,
    pub body: Vec<u8>,
    pub received_at: DateTime<Utc>,
}

pub async fn load(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<StoredWebhook>> {
    sqlx::query_as(
        "select id, kind, endpoint, headers, body, received_at from webhooks where id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// Which of these are stored, by their event keys.
pub async fn stored(
    conn: &mut PgConnection,
    provider: Provider,
    event_keys: &[&str],
) -> sqlx::Result<BTreeSet<String>> {
    let stored: Vec<String> = sqlx::query_scalar(
        "select event_key from webhooks where provider = $1 and event_key = any($2)",
    )
    .bind(provider.as_str())
    .bind(event_keys)
    .fetch_all(conn)
    .await?;
    Ok(stored.into_iter().collect())
}

/// Stripe's events that are held back, the oldest first, but those about which a finding of this kind is open.
pub async fn held(
    conn: &mut PgConnection,
    finding: &str,
    limit: i64,
) -> sqlx::Result<Vec<StoredWebhook>> {
    sqlx::query_as(
        "select id, kind, endpoint, headers, body, received_at from webhooks w
         where state = 'held' and provider = 'stripe'
           and not exists (select 1 from findings f
                           where f.kind = $1 and f.subject = w.id::text and f.closed_at is null)
         order by received_at limit $2",
    )
    .bind(finding)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// What became of it: `handled`, `ignored` or `held`. False: it was so already.
pub async fn mark(conn: &mut PgConnection, id: Uuid, state: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update webhooks set state = $2, handled_at = now() where id = $1 and state <> $2",
    )
    .bind(id)
    .bind(state)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// VoIP.ms' callbacks that were kept because nobody could look them up, the oldest first: they are to be handled now.
pub async fn take_up_kept(conn: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "update webhooks set state = 'stored'
         where id in (select id from webhooks
                      where provider = 'voipms' and state = 'held' and handled_at is null
                      order by received_at limit $1)
         returning id",
    )
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// It cannot be handled as things are, and is kept until it can be.
pub async fn keep(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query("update webhooks set state = 'held' where id = $1 and state <> 'held'")
        .bind(id)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What became of a webhook so far.
#[derive(Debug, Clone, FromRow)]
pub struct Received {
    pub id: Uuid,
    pub event_key: String,
    /// Which secret verified it; `poll` when it was fetched because nobody delivered it.
    pub endpoint: String,
    /// stored, handled, ignored or held.
    pub state: String,
}

/// Those of a provider's events that are stored.
pub async fn received(
    conn: &mut PgConnection,
    provider: Provider,
    event_keys: &[String],
) -> sqlx::Result<Vec<Received>> {
    sqlx::query_as(
        "select id, event_key, endpoint, state from webhooks where provider = $1 and event_key = any($2)",
    )
    .bind(provider.as_str())
    .bind(event_keys)
    .fetch_all(conn)
    .await
}
