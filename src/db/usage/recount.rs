//! Counting again: counters are derived from the events, and this is the check.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

/// A window whose counter was not what its events add up to; quantities in millionths.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize)]
pub struct Difference {
    pub account_id: String,
    /// day, month or cycle.
    pub per: String,
    pub starts_at: DateTime<Utc>,
    pub feature: String,
    /// By the counter.
    pub kept: i64,
    /// By the events.
    pub counted: i64,
}

/// The windows from `since` on, of one account or of all, that differ; at most `limit`. Reads all events from
/// then on.
pub async fn differences(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    account_id: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Difference>> {
    sqlx::query_as(include_str!("recount.sql"))
        .bind(since)
        .bind(account_id)
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// A counter by its key.
#[derive(Debug, Clone, FromRow)]
pub struct Counter {
    pub account_id: String,
    pub per: String,
    pub starts_at: DateTime<Utc>,
    pub feature: String,
}

impl From<&Difference> for Counter {
    fn from(difference: &Difference) -> Counter {
        Counter {
            account_id: difference.account_id.clone(),
            per: difference.per.clone(),
            starts_at: difference.starts_at,
            feature: difference.feature.clone(),
        }
    }
}

/// The windows that ended before `before` and have not been counted again since; the oldest first.
pub async fn ended(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<Counter>> {
    sqlx::query_as(
        "select account_id, per, starts_at, feature from usage_counters
         where closed_at is null and ends_at < $1 order by ends_at limit $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Make counters that are not there although events are. Where their windows end is a guess, which the next use
/// puts right.
pub async fn make_missing(conn: &mut PgConnection, counters: &[Counter]) -> sqlx::Result<()> {
    let sql = "insert into usage_counters (account_id, per, starts_at, feature, ends_at, day, quantity, events)
         select account_id, per, starts_at, feature,
                starts_at + case per when 'day' then interval '1 day' else interval '1 month' end,
                case per when 'day' then ((starts_at + interval '12 hours') at time zone 'utc')::date end, 0, 0
         from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[]) as given (account_id, per, starts_at, feature)
         order by 1, 2, 3, 4
         on conflict do nothing";
    sqlx::query(sql)
        .bind(column(counters, |c| c.account_id.as_str()))
        .bind(column(counters, |c| c.per.as_str()))
        .bind(column(counters, |c| c.starts_at))
        .bind(column(counters, |c| c.feature.as_str()))
        .execute(conn)
        .await?;
    Ok(())
}

/// Count these windows again and keep what is counted; with `closed_at` they are closed. Answers those that
/// differed before.
///
/// The counters are locked first, by a statement of its own: what was counted by then the next statement sees, and
/// nothing more is counted until the transaction ends.
pub async fn correct(
    conn: &mut PgConnection,
    counters: &[Counter],
    closed_at: Option<DateTime<Utc>>,
) -> sqlx::Result<Vec<Difference>> {
    sqlx::query(
        "select from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[]) as given (account_id, per, starts_at, feature)
         join usage_counters c using (account_id, per, starts_at, feature)
         order by account_id, per, starts_at, feature
         for update of c",
    )
    .bind(column(counters, |c| c.account_id.as_str()))
    .bind(column(counters, |c| c.per.as_str()))
    .bind(column(counters, |c| c.starts_at))
    .bind(column(counters, |c| c.feature.as_str()))
    .execute(&mut *conn)
    .await?;
    sqlx::query_as(include_str!("recount_windows.sql"))
        .bind(column(counters, |c| c.account_id.as_str()))
        .bind(column(counters, |c| c.per.as_str()))
        .bind(column(counters, |c| c.starts_at))
        .bind(column(counters, |c| c.feature.as_str()))
        .bind(closed_at)
        .fetch_all(conn)
        .await
}

fn column<'a, T>(counters: &'a [Counter], of: impl Fn(&'a Counter) -> T) -> Vec<T> {
    counters.iter().map(of).collect()
}
