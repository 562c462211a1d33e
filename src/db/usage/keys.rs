//! The natural keys of events: unique for as long as they are kept, with the answer that was given first.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// A key that is claimed for an event.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub account_id: String,
    pub source: &'static str,
    pub source_id: String,
    /// Empty for an app's key.
    pub feature: String,
    pub event_id: Uuid,
    /// Of what was asked: a copy has the same.
    pub request_sha256: Vec<u8>,
}

/// Claim the keys that nobody has; the answer names their events. One that another transaction is just
/// claiming is waited for. In the order of the keys: two callers never lock each other out.
pub async fn claim(
    conn: &mut PgConnection,
    keys: &[NewKey],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "insert into usage_keys (account_id, source, source_id, feature, event_id, request_sha256, created_at)
         select *, $7 from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bytea[])
         order by 1, 2, 3, 4
         on conflict do nothing returning event_id",
    )
    .bind(keys.iter().map(|key| key.account_id.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.source).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.source_id.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.feature.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.event_id).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.request_sha256.as_slice()).collect::<Vec<_>>())
    .bind(now)
    .fetch_all(conn)
    .await
}

/// What was claimed before under a key.
#[derive(Debug, Clone, FromRow)]
pub struct Claimed {
    pub account_id: String,
    pub source: String,
    pub source_id: String,
    pub feature: String,
    pub request_sha256: Vec<u8>,
    /// What was answered then.
    pub outcome: Option<Value>,
}

/// What stands under these keys.
pub async fn claimed(conn: &mut PgConnection, keys: &[&NewKey]) -> sqlx::Result<Vec<Claimed>> {
    sqlx::query_as(
        "select k.account_id, k.source, k.source_id, k.feature, k.request_sha256, k.outcome
         from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as wanted (account_id, source, source_id, feature)
         join usage_keys k using (account_id, source, source_id, feature)",
    )
    .bind(keys.iter().map(|key| key.account_id.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.source).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.source_id.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.feature.as_str()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}

/// Keep what was answered to those who claimed their key in this transaction; who was answered nothing that
/// counts gives the key back.
pub async fn keep_outcomes(
    conn: &mut PgConnection,
    outcomes: &[(&NewKey, Option<Value>)],
) -> sqlx::Result<()> {
    sqlx::query(
        "with told as (
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
                 as told (account_id, source, source_id, feature, outcome)
         ), kept as (
             update usage_keys k set outcome = told.outcome from told
             where (k.account_id, k.source, k.source_id, k.feature)
                 = (told.account_id, told.source, told.source_id, told.feature) and told.outcome is not null
         )
         delete from usage_keys k using told
         where (k.account_id, k.source, k.source_id, k.feature)
             = (told.account_id, told.source, told.source_id, told.feature) and told.outcome is null",
    )
    .bind(outcomes.iter().map(|(key, _)| key.account_id.as_str()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|(key, _)| key.source).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|(key, _)| key.source_id.as_str()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|(key, _)| key.feature.as_str()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|(_, outcome)| outcome.as_ref()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
