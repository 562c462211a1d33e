//! What accounts want of their numbers: a document for the account, and one for each number that differs.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};

use super::outbound_spend::{Today, spent_by};

/// What decides about a number that is called or written to.
#[derive(Debug, Clone, FromRow)]
pub struct OfNumber {
    /// None: nobody has it.
    pub account_id: Option<String>,
    /// As stored; not necessarily readable.
    pub of_account: Option<Value>,
    pub of_number: Option<Value>,
    /// Of the numbers they forward to, those that this service answers.
    pub ours: Vec<String>,
    /// What the account has spent of today. None: nobody asks.
    pub spent_micros: Option<i64>,
}

/// The settings of a number and of its account: of `owner`, else of whoever has the number, else of `named`. And what is spent of today,
/// where there is a cap.
pub async fn of_number(
    conn: &mut PgConnection,
    owner: Option<&str>,
    named: Option<&str>,
    phone_number: &str,
    today: Option<Today>,
) -> sqlx::Result<OfNumber> {
    let spent = spent_by(
        "whose.account_id",
        "$3::date",
        "$4::timestamptz",
        "$5::bigint",
    );
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select whose.account_id, a.config as of_account, n.config as of_number,
                array(select ours.phone_number from phone_numbers ours
                      where ours.phone_number in (n.config -> 'forwarding' ->> 'number',
                                                  a.config -> 'forwarding' ->> 'number')
                        and ours.status not in ('ordered', 'buying', 'released')) as ours,
                case when $3 is not null then {spent} end as spent_micros
         from (select coalesce($1, (select account_id from phone_numbers
                                    where phone_number = $2
                                      and status not in ('ordered', 'buying', 'released')), $6) as account_id) whose
         left join phone_system_config a on a.account_id = whose.account_id and a.phone_number = ''
         left join phone_system_config n on n.account_id = whose.account_id and n.phone_number = $2"
    )))
    .bind(owner)
    .bind(phone_number)
    .bind(today.map(|today| today.day()))
    .bind(today.map(|today| today.now))
    .bind(today.map(|today| today.minute_micros))
    .bind(named)
    .fetch_one(conn)
    .await
}

/// The documents of an account and of one of its numbers, each with its number; the account's has none.
pub async fn load(
    conn: &mut PgConnection,
    account_id: &str,
    phone_number: Option<&str>,
) -> sqlx::Result<Vec<(Option<String>, Value)>> {
    sqlx::query_as(
        "select nullif(phone_number, ''), config from phone_system_config
         where account_id = $1 and phone_number in ('', $2)",
    )
    .bind(account_id)
    .bind(phone_number)
    .fetch_all(conn)
    .await
}

/// Replace the whole document of a number, or of the account. Of two at once the later one stands, whole.
pub async fn put(
    conn: &mut PgConnection,
    account_id: &str,
    phone_number: Option<&str>,
    config: &Value,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into phone_system_config (account_id, phone_number, config, updated_at) values ($1, $2, $3, $4)
         on conflict (account_id, phone_number) do update
         set config = excluded.config, updated_at = excluded.updated_at",
    )
    .bind(account_id)
    .bind(phone_number.unwrap_or_default())
    .bind(config)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// From now on it is as one step wider: of its document nothing is left. False: there was none.
pub async fn clear(
    conn: &mut PgConnection,
    account_id: &str,
    phone_number: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update phone_system_config set config = '{}', updated_at = $3 where account_id = $1 and phone_number = $2",
    )
    .bind(account_id)
    .bind(phone_number.unwrap_or_default())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
