//! The periods of accounts. What is closed is never changed but for when it was rated last.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, types::Json};
use tollkeeper_jobs::{
    billing::{
        Terms,
        periods::{Payer, Period},
        waivers::Waiver,
    },
    usage::Span,
};
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub struct StoredPeriod {
    pub period_id: Uuid,
    pub account_id: String,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub subscription_ref: Option<String>,
    pub customer_ref: Option<String>,
    terms: Json<Terms>,
    waiver: Option<String>,
    known_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
    pub rated_at: Option<DateTime<Utc>>,
}

impl StoredPeriod {
    pub fn terms(&self) -> &Terms {
        &self.terms.0
    }

    pub fn span(&self) -> Span {
        Span {
            starts_at: self.starts_at,
            ends_at: self.ends_at,
        }
    }

    pub fn waiver(&self) -> Option<Waiver> {
        self.waiver.as_deref().and_then(Waiver::of_stored)
    }

    /// As the rules look at it.
    pub fn period(&self) -> Period {
        let payer = self.subscription_ref.clone().zip(self.customer_ref.clone());
        Period {
            span: self.span(),
            payer: payer.map(|(subscription_ref, customer_ref)| Payer {
                subscription_ref,
                customer_ref,
            }),
            terms: self.terms.0.clone(),
            waiver: self.waiver(),
            known_at: self.known_at,
        }
    }
}

const COLUMNS: &str =
    "period_id, account_id, starts_at, ends_at, subscription_ref, customer_ref, terms, waiver,
                       known_at, closed_at, rated_at";

/// The last period of each of these accounts that has one.
pub async fn last(
    conn: &mut PgConnection,
    account_ids: &[&str],
) -> sqlx::Result<Vec<StoredPeriod>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select last.* from unnest($1::text[]) as wanted (account_id)
         cross join lateral (select {COLUMNS} from billing_periods p where p.account_id = wanted.account_id
                             order by ends_at desc limit 1) as last"
    )))
    .bind(account_ids)
    .fetch_all(conn)
    .await
}

/// The period of an account that contains an instant.
pub async fn at(
    conn: &mut PgConnection,
    account_id: &str,
    at: DateTime<Utc>,
) -> sqlx::Result<Option<StoredPeriod>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from billing_periods where account_id = $1 and starts_at <= $2 and ends_at > $2"
    )))
    .bind(account_id)
    .bind(at)
    .fetch_optional(conn)
    .await
}

/// The periods of an account that have a part in a span of time, the oldest first.
pub async fn between(
    conn: &mut PgConnection,
    account_id: &str,
    span: Span,
) -> sqlx::Result<Vec<StoredPeriod>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from billing_periods where account_id = $1 and starts_at < $3 and ends_at > $2
         order by starts_at"
    )))
    .bind(account_id)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .fetch_all(conn)
    .await
}

/// These periods, in the order of their accounts.
pub async fn load(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<StoredPeriod>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from billing_periods where period_id = any($1) order by account_id, starts_at"
    )))
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// Whose periods these are, each once, in their order.
pub async fn accounts_of(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct account_id from billing_periods where period_id = any($1) order by account_id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// A period to add to the end of an account's.
#[derive(Debug, Clone)]
pub struct NewPeriod<'a> {
    pub account_id: &'a str,
    pub period: &'a Period,
    /// False for the first one of the account.
    pub follows_another: bool,
}

/// Add periods, those of one account in their order.
pub async fn append(
    conn: &mut PgConnection,
    new: &[NewPeriod<'_>],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    fn column<'a, T>(new: &[NewPeriod<'a>], of: impl Fn(&NewPeriod<'a>) -> T) -> Vec<T> {
        new.iter().map(of).collect()
    }
    fn payer<'a>(new: &NewPeriod<'a>) -> Option<&'a Payer> {
        new.period.payer.as_ref()
    }
    sqlx::query(
        "insert into billing_periods (period_id, account_id, starts_at, ends_at, follows, subscription_ref,
                                      customer_ref, tier, terms, waiver, created_at, known_at)
         select period_id, account_id, starts_at, ends_at, case when follows_another then starts_at end,
                subscription_ref, customer_ref, tier, terms, waiver, $11, known_at
         from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::boolean[], $6::text[], $7::text[],
                     $8::text[], $9::jsonb[], $10::text[], $12::timestamptz[])
             as new (period_id, account_id, starts_at, ends_at, follows_another, subscription_ref, customer_ref, tier,
                     terms, waiver, known_at)",
    )
    .bind(column(new, |_| Uuid::now_v7()))
    .bind(column(new, |one| one.account_id))
    .bind(column(new, |one| one.period.span.starts_at))
    .bind(column(new, |one| one.period.span.ends_at))
    .bind(column(new, |one| one.follows_another))
    .bind(column(new, |one| payer(one).map(|payer| payer.subscription_ref.as_str())))
    .bind(column(new, |one| payer(one).map(|payer| payer.customer_ref.as_str())))
    .bind(column(new, |one| one.period.terms.tier.as_str()))
    .bind(column(new, |one| Json(&one.period.terms)))
    .bind(column(new, |one| one.period.waiver.map(Waiver::as_str)))
    .bind(now)
    .bind(column(new, |one| one.period.known_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Change a period that is not closed. False: it is closed.
pub async fn change(
    conn: &mut PgConnection,
    period_id: Uuid,
    period: &Period,
) -> sqlx::Result<bool> {
    let payer = period.payer.as_ref();
    let done = sqlx::query(
        "update billing_periods
         set ends_at = $2, subscription_ref = $3, customer_ref = $4, tier = $5, terms = $6, waiver = $7,
             known_at = $8
         where period_id = $1 and closed_at is null",
    )
    .bind(period_id)
    .bind(period.span.ends_at)
    .bind(payer.map(|payer| &payer.subscription_ref))
    .bind(payer.map(|payer| &payer.customer_ref))
    .bind(&period.terms.tier)
    .bind(Json(&period.terms))
    .bind(period.waiver.map(Waiver::as_str))
    .bind(period.known_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Remember that these periods were rated, each with what waives it.
pub async fn rated(
    conn: &mut PgConnection,
    ids: &[Uuid],
    waivers: &[Option<&str>],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update billing_periods p
         set closed_at = coalesce(p.closed_at, $3), rated_at = $3, waiver = coalesce(p.waiver, rated.waiver)
         from unnest($1::uuid[], $2::text[]) as rated (period_id, waiver)
         where p.period_id = rated.period_id",
    )
    .bind(ids)
    .bind(waivers)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Periods that ended before and are not closed, the oldest first: their ids and accounts.
pub async fn ended(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> sqlx::Result<Vec<(DateTime<Utc>, Uuid, String)>> {
    sqlx::query_as(
        "select ends_at, period_id, account_id from billing_periods
         where closed_at is null and ends_at <= $1
           and ($2::timestamptz is null or (ends_at, period_id) > ($2, $3))
         order by ends_at, period_id limit $4",
    )
    .bind(before)
    .bind(after.map(|(ends_at, _)| ends_at))
    .bind(after.map(|(_, period_id)| period_id))
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Open periods of an account that ended by then, with their ends.
pub async fn unclosed_of(
    conn: &mut PgConnection,
    account_id: &str,
    by: DateTime<Utc>,
) -> sqlx::Result<Vec<(Uuid, DateTime<Utc>)>> {
    sqlx::query_as(
        "select period_id, ends_at from billing_periods
         where account_id = $1 and closed_at is null and ends_at <= $2 order by ends_at",
    )
    .bind(account_id)
    .bind(by)
    .fetch_all(conn)
    .await
}

/// Periods that are over, that somebody pays for and in which days of these accounts lie, given as two equally long lists
/// of accounts and of the days' beginnings: what was used there meanwhile is still to be rated, also by whoever is
/// closing one at this moment. No day is longer than 26 hours; to rate a period too often harms nothing, but for one that
/// began before `kept_from`: a part of its usage is not there any more.
pub async fn over_around(
    conn: &mut PgConnection,
    account_ids: &[&str],
    days: &[DateTime<Utc>],
    kept_from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as(
        "select distinct p.period_id, p.account_id
         from unnest($1::text[], $2::timestamptz[]) as used (account_id, starts_at)
         join billing_periods p on p.account_id = used.account_id
          and p.starts_at < used.starts_at + interval '26 hours' and p.ends_at > used.starts_at
         where (p.closed_at is not null or p.ends_at <= $3) and p.subscription_ref is not null and p.starts_at >= $4
         order by p.account_id, p.period_id",
    )
    .bind(account_ids)
    .bind(days)
    .bind(now)
    .bind(kept_from)
    .fetch_all(conn)
    .await
}

/// Accounts that used or subscribed to something and have no period yet.
pub async fn accounts_without(conn: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select a.account_id from accounts a
         where not exists (select 1 from billing_periods p where p.account_id = a.account_id)
           and (exists (select 1 from subscriptions s where s.account_id = a.account_id)
                or exists (select 1 from usage_counters c where c.account_id = a.account_id))
         order by a.account_id limit $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await
}
