//! Whose turn it is to ask a provider, for all processes together.

use std::time::Duration;

use sqlx::PgConnection;

/// Take that many turns in a row, one every so often. Ok: how long the first of them is to be waited for. Err: none is
/// taken, for that would be longer than `longest`; it says how long it would be.
pub async fn take(
    conn: &mut PgConnection,
    provider: &str,
    every: Duration,
    count: usize,
    longest: Duration,
) -> sqlx::Result<Result<Duration, Duration>> {
    // By the database's clock, which the processes share, and of this moment: a transaction's own stands still.
    const TAKE: &str = "
        with now as materialized (select clock_timestamp() as at),
        found as (select next_at from provider_turns where provider = $1 for update),
        first as (select greatest(found.next_at, now.at) as turn_at, now.at from found, now),
        taken as (
            update provider_turns set next_at = first.turn_at + $2 * interval '1 microsecond'
            from first where provider = $1 and first.turn_at <= first.at + $3 * interval '1 microsecond'
            returning 1)
        select extract(epoch from turn_at - at)::float8, exists (select from taken) from first";
    loop {
        let found: Option<(f64, bool)> = sqlx::query_as(TAKE)
            .bind(provider)
            .bind((every.as_micros() * count as u128) as f64)
            .bind(longest.as_micros() as f64)
            .fetch_optional(&mut *conn)
            .await?;
        if let Some((seconds, is_taken)) = found {
            let wait = Duration::from_secs_f64(seconds.max(0.0));
            return Ok(if is_taken { Ok(wait) } else { Err(wait) });
        }
        sqlx::query(
            "insert into provider_turns values ($1, clock_timestamp()) on conflict do nothing",
        )
        .bind(provider)
        .execute(&mut *conn)
        .await?;
    }
}
