//! Ticks of the timetable, each stored once with its job, however many schedulers look.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool, Row};
use tollkeeper_jobs::{
    NewJob,
    timetable::{Entry, due},
};

use super::{claim::interval, enqueue::enqueue_all};
use crate::{
    clock::Clock,
    crash::{self, Moment},
    db,
};

/// Store what of one entry has become due since the last look, by the database's clock, in one
/// transaction. Answers how many ticks were new; another scheduler at the same entry: none.
pub async fn tick(pool: &PgPool, clock: &Clock, entry: &Entry) -> sqlx::Result<usize> {
    let ahead = interval(clock.offset().to_std().unwrap_or_default());
    let mut tx = db::begin(pool).await?;
    // A new entry starts now: it has no past to make up for.
    sqlx::query("insert into queue.schedules (name, last_tick) values ($1, now() + $2) on conflict do nothing")
        .bind(entry.name)
        .bind(ahead)
        .execute(&mut *tx)
        .await?;
    let Some(row) = sqlx::query(
        "select last_tick, now() + $2 as now from queue.schedules where name = $1 for update skip locked",
    )
    .bind(entry.name)
    .bind(ahead)
    .fetch_optional(&mut *tx)
    .await?
    else {
        return Ok(0);
    };
    let (last, now): (DateTime<Utc>, DateTime<Utc>) =
        (row.try_get("last_tick")?, row.try_get("now")?);
    let due = due(entry, last, now);
    // A clock that was ahead for a while must not silence the entry until it is caught up with.
    let is_ahead = last > now + TimeDelta::minutes(5);
    let new = match due.ticks.is_empty() {
        true => 0,
        false => store(&mut tx, entry, &due.ticks).await?,
    };
    sqlx::query(
        "update queue.schedules set last_tick = $2 where name = $1 and (last_tick < $2 or $3)",
    )
    .bind(entry.name)
    .bind(if is_ahead { now } else { due.seen_until })
    .bind(is_ahead)
    .execute(&mut *tx)
    .await?;
    if new > 0 {
        crash::point(Moment::BeforeTicked, entry.name);
    }
    tx.commit().await?;
    if new > 0 {
        crash::point(Moment::Ticked, entry.name);
    }
    Ok(new)
}

/// Store those ticks that nobody stored before, each with its job. Answers how many.
async fn store(
    tx: &mut PgConnection,
    entry: &Entry,
    ticks: &[DateTime<Utc>],
) -> sqlx::Result<usize> {
    let mut new: Vec<DateTime<Utc>> = sqlx::query_scalar(
        "insert into queue.cron_ticks (name, tick_at) select $1, unnest($2::timestamptz[])
         on conflict do nothing returning tick_at",
    )
    .bind(entry.name)
    .bind(ticks)
    .fetch_all(&mut *tx)
    .await?;
    new.sort_unstable();
    let jobs: Vec<NewJob> = new.iter().map(|tick_at| (entry.job)(*tick_at)).collect();
    let asked = enqueue_all(tx, &jobs).await?;
    sqlx::query(
        "update queue.cron_ticks tick set job_id = asked.job_id
         from unnest($2::timestamptz[], $3::uuid[]) as asked (tick_at, job_id)
         where tick.name = $1 and tick.tick_at = asked.tick_at",
    )
    .bind(entry.name)
    .bind(&new)
    .bind(asked.iter().map(|asked| asked.id()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(new.len())
}

/// The ticks of an entry since then that are stored, in their order, and until when it was looked at. None: nobody has
/// looked yet.
pub async fn stored(
    conn: &mut PgConnection,
    name: &str,
    since: Option<DateTime<Utc>>,
) -> sqlx::Result<Option<(DateTime<Utc>, Vec<DateTime<Utc>>)>> {
    // One statement: a tick that is stored meanwhile is either in both or in none.
    sqlx::query_as(
        "select last_tick, array(
             select tick_at from queue.cron_ticks
             where cron_ticks.name = schedules.name and tick_at >= coalesce($2, '-infinity') order by tick_at)
         from queue.schedules where name = $1",
    )
    .bind(name)
    .bind(since)
    .fetch_optional(conn)
    .await
}

/// Forget every tick after `now`: a moved clock that is gone left them behind, and the next one to
/// be moved would find them stored.
pub async fn forget_future(conn: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from queue.cron_ticks where tick_at > $1")
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}
