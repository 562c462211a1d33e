//! What an account's rights and windows follow from.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

/// One subscription of one account; an account without any has one row of nothing.
#[derive(Debug, Clone, FromRow)]
pub struct Fact {
    pub account_id: String,
    /// IANA; none: UTC.
    pub time_zone: Option<String>,
    pub subscription_ref: Option<String>,
    pub status: Option<String>,
    pub tier: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub past_due_since: Option<DateTime<Utc>>,
    pub period_starts_at: Option<DateTime<Utc>>,
    pub period_ends_at: Option<DateTime<Utc>>,
    pub anchor_at: Option<DateTime<Utc>>,
}

/// Of all these accounts, the newest subscription of each first. An account nobody knows has its row too.
pub async fn of_accounts(conn: &mut PgConnection, account_ids: &[&str]) -> sqlx::Result<Vec<Fact>> {
    sqlx::query_as(
        "select wanted.account_id, a.time_zone, s.subscription_ref, s.status, s.tier, s.created_at,
                s.past_due_since, s.period_starts_at, s.period_ends_at, s.anchor_at
         from unnest($1::text[]) as wanted (account_id)
         left join lateral (select * from accounts where account_id = wanted.account_id limit 1) a on true
         left join lateral (select * from subscriptions where account_id = wanted.account_id
                            order by created_at desc) s on true",
    )
    .bind(account_ids)
    .fetch_all(conn)
    .await
}
