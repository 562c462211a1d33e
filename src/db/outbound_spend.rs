//! What an account's calls and messages come to in a day.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

/// The day whose money is looked at, at this moment, and what a minute of a call costs in it.
#[derive(Debug, Clone, Copy)]
pub struct Today {
    pub now: DateTime<Utc>,
    pub minute_micros: i64,
}

impl Today {
    pub fn day(&self) -> NaiveDate {
        self.now.date_naive()
    }
}

/// What an account has spent of a day at a moment of it, as an expression of a statement's parameters: its wishes, and the
/// other legs of calls that were put through that day, at what the provider says they cost, or else by their minutes. One
/// that goes on counts as long as it has lasted; where nobody told its end, as long as Twilio lets it last.
pub(super) fn spent_by(account: &str, day: &str, now: &str, minute: &str) -> String {
    format!(
        "coalesce((select s.micros from outbound_spend s where s.account_id = {account} and s.day = {day}), 0)
         + coalesce((select sum(case when leg.cost_micros is not null then leg.cost_micros
                                     when leg.status in ('busy', 'failed', 'no-answer', 'canceled') then 0
                                     else {minute} * ceil(least(14400, coalesce(leg.seconds,
                                          greatest(1, extract(epoch from {now} - leg.began_at)))) / 60.0) end)
                     from calls leg
                     where leg.account_id = {account} and leg.parent_ref is not null
                       and leg.began_at >= {day}::timestamp at time zone 'utc'
                       and leg.began_at < ({day} + 1)::timestamp at time zone 'utc'), 0)::bigint"
    )
}

/// What an account has spent of today.
pub async fn spent(conn: &mut PgConnection, account_id: &str, today: Today) -> sqlx::Result<i64> {
    let spent = spent_by("$1", "$2::date", "$3::timestamptz", "$4::bigint");
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select {spent}")))
        .bind(account_id)
        .bind(today.day())
        .bind(today.now)
        .bind(today.minute_micros)
        .fetch_one(conn)
        .await
}

/// So much more, or less.
pub async fn spend(
    conn: &mut PgConnection,
    account_id: &str,
    day: NaiveDate,
    micros: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into outbound_spend as s (account_id, day, micros) values ($1, $2, $3)
         on conflict (account_id, day) do update set micros = s.micros + excluded.micros",
    )
    .bind(account_id)
    .bind(day)
    .bind(micros)
    .execute(conn)
    .await?;
    Ok(())
}
