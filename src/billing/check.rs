//! Whether the books are right in themselves: every invariant of billing asked at once. It reads only.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    prune_history,
    timetable::{Entry, Missed, TIMETABLE, due, is_tick},
};
use uuid::Uuid;

use super::rate;
use crate::{
    db::billing::{
        invariants::{self, INVARIANTS, Invariant, Offence, RATING, TICKS},
        periods,
    },
    queue::timetable,
};

/// So many offences of one invariant are told at most.
pub const TOLD_MAX: i64 = 100;
const BATCH_MAX: i64 = 500;

/// What breaks one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub invariant: &'static str,
    pub says: &'static str,
    #[serde(flatten)]
    pub offence: Offence,
}

/// What breaks an invariant, at most [`TOLD_MAX`] of it. With `since` only what changed since then is looked at.
pub async fn check(
    conn: &mut PgConnection,
    invariant: &Invariant,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Broken>> {
    let mut offences = invariants::offences(conn, invariant, since, now, TOLD_MAX).await?;
    match invariant.id {
        RATING => offences.extend(rated_otherwise(conn, since, now).await?),
        TICKS => offences.extend(ticked_otherwise(conn, since).await?),
        _ => {}
    }
    offences.truncate(TOLD_MAX as usize);
    let broken = offences.into_iter().map(|offence| Broken {
        invariant: invariant.id,
        says: invariant.says,
        offence,
    });
    Ok(broken.collect())
}

/// The same for all of them.
pub async fn check_all(
    conn: &mut PgConnection,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Broken>> {
    let mut all = Vec::new();
    for invariant in &INVARIANTS {
        all.extend(check(conn, invariant, since, now).await?);
    }
    Ok(all)
}

/// Settled periods that come to something else now than was charged for them.
async fn rated_otherwise(
    conn: &mut PgConnection,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Offence>> {
    let (mut found, mut after) = (Vec::new(), Uuid::nil());
    let kept_from = prune_history::usage_kept_from(now);
    while (found.len() as i64) < TOLD_MAX {
        let ids =
            invariants::settled_periods(conn, since, kept_from, now, after, BATCH_MAX).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        let batch = periods::load(conn, &ids).await?;
        for (period, what) in rate::differing(conn, &batch).await? {
            found.push(Offence {
                subject: period.period_id.to_string(),
                account_id: period.account_id.clone(),
                what,
            });
        }
    }
    Ok(found)
}

/// Ticks that are none of the timetable's, and gaps between those that are stored.
async fn ticked_otherwise(
    conn: &mut PgConnection,
    since: Option<DateTime<Utc>>,
) -> sqlx::Result<Vec<Offence>> {
    let mut found = Vec::new();
    for entry in TIMETABLE {
        let Some((looked, ticks)) = timetable::stored(conn, entry.name, since).await? else {
            continue;
        };
        found.extend(wrong_ticks(entry, looked, &ticks));
    }
    Ok(found)
}

/// An entry that stands for what it missed has gaps, but none behind its last tick.
fn wrong_ticks(entry: &Entry, looked: DateTime<Utc>, ticks: &[DateTime<Utc>]) -> Vec<Offence> {
    let offence = |at: &DateTime<Utc>, what: String| Offence {
        subject: format!("{} {}", entry.name, at.format("%FT%TZ")),
        account_id: String::new(),
        what,
    };
    let strange = ticks
        .iter()
        .filter(|at| !is_tick(entry, **at) || **at > looked);
    let mut found: Vec<Offence> = strange
        .map(|at| {
            offence(
                at,
                "it is no tick of the timetable, or it has not come yet".into(),
            )
        })
        .collect();
    let mut missed = |from: DateTime<Utc>, until: DateTime<Utc>| {
        let lost = due(entry, from, until).ticks;
        found.extend(
            lost.iter()
                .filter(|at| !ticks.contains(at))
                .map(|at| offence(at, "this tick is lost".into())),
        );
    };
    if entry.missed == Missed::All {
        ticks.windows(2).for_each(|pair| missed(pair[0], pair[1]));
    }
    if let (Some(last), true) = (ticks.last(), entry.missed != Missed::Skip) {
        missed(*last, looked);
    }
    found
}
