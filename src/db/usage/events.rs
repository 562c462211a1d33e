//! The events themselves: facts, never changed.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use super::counters::CounterKey;

/// One use, and the windows it counts in.
#[derive(Debug, Clone, FromRow)]
pub struct NewEvent {
    pub event_id: Uuid,
    pub account_id: String,
    pub feature: String,
    /// Who says so.
    pub source: String,
    /// By which id of theirs.
    pub source_id: String,
    /// In millionths; negative for a reversal.
    pub quantity: i64,
    pub occurred_at: DateTime<Utc>,
    /// day, month or cycle: the window the feature's limit is for.
    pub per: String,
    pub window_starts_at: DateTime<Utc>,
    pub window_ends_at: DateTime<Utc>,
    pub day: NaiveDate,
    pub day_starts_at: DateTime<Utc>,
    pub day_ends_at: DateTime<Utc>,
    pub tier: String,
    pub app_name: Option<String>,
    pub metadata: Option<Value>,
    pub reversal_of: Option<Uuid>,
}

impl NewEvent {
    /// The counter of the window its limit is for.
    pub fn counter(&self) -> CounterKey {
        CounterKey {
            account_id: self.account_id.clone(),
            per: self.per.clone(),
            starts_at: self.window_starts_at,
            feature: self.feature.clone(),
        }
    }
}

/// Store events and count them; the answer is what each window's count is afterwards.
///
/// Counters are changed in their order, so that two callers never lock each other out.
pub async fn store(
    conn: &mut PgConnection,
    events: &[&NewEvent],
    now: DateTime<Utc>,
) -> sqlx::Result<BTreeMap<CounterKey, i64>> {
    fn column<'a, T>(events: &[&'a NewEvent], of: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
        events.iter().map(|event| of(event)).collect()
    }
    let rows = sqlx::query(include_str!("store_events.sql"))
        .bind(column(events, |e| e.event_id))
        .bind(column(events, |e| e.account_id.as_str()))
        .bind(column(events, |e| e.feature.as_str()))
        .bind(column(events, |e| e.source.as_str()))
        .bind(column(events, |e| e.source_id.as_str()))
        .bind(column(events, |e| e.quantity))
        .bind(column(events, |e| e.occurred_at))
        .bind(column(events, |e| e.per.as_str()))
        .bind(column(events, |e| e.window_starts_at))
        .bind(column(events, |e| e.window_ends_at))
        .bind(column(events, |e| e.day))
        .bind(column(events, |e| e.day_starts_at))
        .bind(column(events, |e| e.day_ends_at))
        .bind(column(events, |e| e.tier.as_str()))
        .bind(column(events, |e| e.app_name.as_deref()))
        .bind(column(events, |e| e.metadata.as_ref()))
        .bind(column(events, |e| e.reversal_of))
        .bind(now)
        .fetch_all(conn)
        .await?;
    let by_position = rows
        .iter()
        .map(|row| {
            let position: i64 = row.try_get("position")?;
            let counter = events[position as usize - 1].counter();
            Ok((counter, row.try_get("quantity")?))
        })
        .collect::<sqlx::Result<_>>()?;
    Ok(by_position)
}

/// An event of this account, with the windows it counts in.
pub async fn load(
    conn: &mut PgConnection,
    account_id: &str,
    event_id: Uuid,
) -> sqlx::Result<Option<NewEvent>> {
    sqlx::query_as(
        "select e.event_id, e.account_id, e.feature, e.source, e.source_id, e.quantity, e.occurred_at, e.per,
                e.window_starts_at, w.ends_at as window_ends_at, d.day, e.day_starts_at, d.ends_at as day_ends_at,
                e.tier, e.app_name, e.metadata, e.reversal_of
         from usage_events e
         join usage_counters w on (w.account_id, w.per, w.starts_at, w.feature)
                                = (e.account_id, e.per, e.window_starts_at, e.feature)
         join usage_counters d on (d.account_id, d.per, d.starts_at, d.feature)
                                = (e.account_id, 'day', e.day_starts_at, e.feature)
         where e.event_id = $1 and e.account_id = $2",
    )
    .bind(event_id)
    .bind(account_id)
    .fetch_optional(conn)
    .await
}
