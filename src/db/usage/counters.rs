//! How much of a window is used: derived from the events, and kept in the transaction that stores them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

/// Which counter: its place in the order in which counters are locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    pub account_id: String,
    /// day, month or cycle.
    pub per: String,
    pub starts_at: DateTime<Utc>,
    pub feature: String,
}

/// In millionths of the feature's unit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    pub counted: i64,
    /// By holds that live.
    pub held: i64,
}

#[derive(FromRow)]
struct Found {
    position: i64,
    counted: i64,
    held: i64,
}

/// What of these windows is used and held; `ahead` is how far the service's clock is ahead of the database's.
pub async fn read(
    conn: &mut PgConnection,
    keys: &BTreeSet<CounterKey>,
    ahead: TimeDelta,
) -> sqlx::Result<BTreeMap<CounterKey, Count>> {
    let found: Vec<Found> = sqlx::query_as(include_str!("read_counters.sql"))
        .bind(column(keys, |key| key.account_id.as_str()))
        .bind(column(keys, |key| key.per.as_str()))
        .bind(column(keys, |key| key.starts_at))
        .bind(column(keys, |key| key.feature.as_str()))
        .bind(ahead)
        .fetch_all(conn)
        .await?;
    let mut counts: Vec<Count> = vec![Count::default(); keys.len()];
    for Found {
        position,
        counted,
        held,
    } in found
    {
        if let Some(count) = counts.get_mut(position as usize - 1) {
            *count = Count { counted, held };
        }
    }
    Ok(keys.iter().cloned().zip(counts).collect())
}

/// A counter that is about to change, and until when its window lasts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    pub key: CounterKey,
    pub ends_at: DateTime<Utc>,
    /// Of a day.
    pub day: Option<NaiveDate>,
}

/// Lock these counters until the transaction ends, in the database's order of them, which is everybody's; one that
/// is not there yet is made.
pub async fn lock(conn: &mut PgConnection, windows: &BTreeSet<Window>) -> sqlx::Result<()> {
    let of = |window: &Window| window.key.clone();
    let keys: Vec<CounterKey> = windows.iter().map(of).collect();
    sqlx::query(
        "insert into usage_counters as c (account_id, per, starts_at, feature, ends_at, day, quantity, events)
         select *, 0, 0 from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::date[])
         order by 1, 2, 3, 4
         on conflict (account_id, per, starts_at, feature) do update set ends_at = c.ends_at",
    )
    .bind(column(&keys, |key| key.account_id.as_str()))
    .bind(column(&keys, |key| key.per.as_str()))
    .bind(column(&keys, |key| key.starts_at))
    .bind(column(&keys, |key| key.feature.as_str()))
    .bind(windows.iter().map(|window| window.ends_at).collect::<Vec<_>>())
    .bind(windows.iter().map(|window| window.day).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

fn column<'a, T>(
    keys: impl IntoIterator<Item = &'a CounterKey>,
    of: impl Fn(&'a CounterKey) -> T,
) -> Vec<T> {
    keys.into_iter().map(of).collect()
}

/// What was used of one feature on one day.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Day {
    pub day: NaiveDate,
    pub feature: String,
    pub quantity: i64,
    pub events: i64,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// An account's days that begin in `[from, until)`, in order.
pub async fn days(
    conn: &mut PgConnection,
    account_id: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> sqlx::Result<Vec<Day>> {
    sqlx::query_as(
        "select day, feature, sum(quantity)::bigint as quantity, sum(events)::bigint as events,
                max(last_used_at) as last_used_at
         from usage_counters
         where account_id = $1 and per = 'day' and starts_at >= $2 and starts_at < $3
         group by day, feature having sum(events) <> 0 or sum(quantity) <> 0
         order by day, feature",
    )
    .bind(account_id)
    .bind(from)
    .bind(until)
    .fetch_all(conn)
    .await
}
