//! Carry out what is asked, in one transaction: claim the keys, lock what is decided about, decide, store and
//! count, and keep the answers.
//!
//! Locks are taken in one order by everybody: keys, then counters, both sorted. What a transaction of the same
//! key or counter has begun is waited for, so a copy is given the first answer and the last unit goes once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::usage::MicroUnits;
use uuid::Uuid;

use super::{
    Account, Effect, How, Outcome, Request, Rules, Verdict,
    notice::{self, Crossing},
};
use crate::db::usage::{
    counters::{self, CounterKey},
    events::{self, NewEvent},
    holds::{self, Hold},
    keys::{self, NewKey},
};

mod line;

use line::Line;

/// An answer, and whether it was given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub outcome: Outcome,
    pub is_replay: bool,
}

/// The key stands for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key stands for another request")]
pub struct KeyReused;

/// The answers, in the order of the requests. Nothing is told to anybody before the caller has committed.
pub async fn carry_out(
    tx: &mut PgConnection,
    rules: &Rules,
    requests: &[&Request],
) -> sqlx::Result<Vec<Result<Answered, KeyReused>>> {
    let now = rules.clock.now();
    let ids = requests.iter().map(|request| request.account_id.as_str());
    let accounts = Account::load(tx, ids).await?;
    let unknown = Account::default();
    let lines: Vec<Line<'_>> = requests
        .iter()
        .map(|request| {
            let account = accounts.get(&request.account_id).unwrap_or(&unknown);
            Line::of(request, account, rules, now)
        })
        .collect();

    let fresh = claim_keys(tx, &lines, now).await?;
    let verdicts = decide_all(tx, rules, &lines, &fresh).await?;
    let (used, crossings) = store(tx, &lines, &fresh, &verdicts, now).await?;
    notice::announce(tx, &crossings).await?;

    let mut answers = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        if fresh[place] {
            let outcome = outcome_of(line, verdicts.get(&place), used.get(&place), now);
            answers.insert(place, outcome);
        }
    }
    keep_answers(tx, &lines, &answers).await?;
    let mut earlier = earlier_answers(tx, &lines, &fresh).await?;
    let answer = |place: usize| match answers.get(&place) {
        Some(outcome) => Ok(Answered {
            outcome: outcome.clone(),
            is_replay: false,
        }),
        None => match earlier.remove(&place) {
            Some(Ok(answered)) => Ok(answered),
            _ => denied_beside(&lines, place, &answers).ok_or(KeyReused),
        },
    };
    Ok((0..lines.len()).map(answer).collect())
}

/// Which requests are no copies.
async fn claim_keys(
    tx: &mut PgConnection,
    lines: &[Line<'_>],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<bool>> {
    let wanted: Vec<NewKey> = lines.iter().filter_map(Line::key).collect();
    if wanted.is_empty() {
        return Ok(vec![true; lines.len()]);
    }
    let claimed: BTreeSet<Uuid> = keys::claim(tx, &wanted, now).await?.into_iter().collect();
    let is_fresh = |line: &Line<'_>| line.request.key.is_none() || claimed.contains(&line.id);
    Ok(lines.iter().map(is_fresh).collect())
}

/// Decide what is wished for, one after the other, under the locks of all counters that are about to change.
async fn decide_all(
    tx: &mut PgConnection,
    rules: &Rules,
    lines: &[Line<'_>],
    fresh: &[bool],
) -> sqlx::Result<BTreeMap<usize, Verdict>> {
    let is_fresh = |(place, _): &(usize, &Line<'_>)| fresh[*place];
    let lines = || lines.iter().enumerate().filter(is_fresh);
    if lines().all(|(_, line)| line.request.how == How::Track) {
        return Ok(BTreeMap::new());
    }
    let windows = lines().flat_map(|(_, line)| line.windows()).collect();
    counters::lock(tx, &windows).await?;
    let keys: BTreeSet<CounterKey> = lines().map(|(_, line)| line.counter()).collect();
    let mut counts = counters::read(tx, &keys, rules.clock.offset()).await?;

    let mut verdicts = BTreeMap::new();
    for (place, line) in lines() {
        let count = counts.entry(line.counter()).or_default();
        let quantity = line.request.quantity;
        if line.request.how == How::Track {
            count.counted = count.counted.saturating_add(quantity.0);
            continue;
        }
        let verdict = line.judge(*count);
        match line.request.how {
            How::Consume if verdict.is_allowed => {
                count.counted = count.counted.saturating_add(quantity.0);
            }
            How::Reserve(_) if verdict.is_allowed => {
                count.held = count.held.saturating_add(quantity.0);
            }
            _ => {}
        }
        verdicts.insert(place, verdict);
    }
    Ok(verdicts)
}

/// Store what is counted and what is held. Answers what each line's window has used after it, and which
/// thresholds were crossed.
async fn store(
    tx: &mut PgConnection,
    lines: &[Line<'_>],
    fresh: &[bool],
    verdicts: &BTreeMap<usize, Verdict>,
    now: DateTime<Utc>,
) -> sqlx::Result<(BTreeMap<usize, MicroUnits>, Vec<Crossing>)> {
    let is_granted = |place| {
        verdicts
            .get(&place)
            .is_none_or(|verdict| verdict.is_allowed)
    };
    let mut counted = Vec::new();
    let mut held: Vec<Hold> = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        match line.request.how {
            _ if !fresh[place] || !is_granted(place) => {}
            How::Track | How::Consume => counted.push((place, line.event())),
            How::Reserve(until) => held.push(line.hold(now, until)),
        }
    }
    if !held.is_empty() {
        holds::insert(tx, &held).await?;
    }
    if counted.is_empty() {
        return Ok(Default::default());
    }
    let stored: Vec<&NewEvent> = counted.iter().map(|(_, event)| event).collect();
    let mut totals = events::store(tx, &stored, now).await?;

    // Backwards from what is used now: what each line left behind, down to what there was before them all.
    let mut used = BTreeMap::new();
    let mut span = BTreeMap::<CounterKey, (usize, MicroUnits)>::new();
    for (place, event) in counted.iter().rev() {
        let counter = event.counter();
        let total = totals.entry(counter.clone()).or_default();
        span.entry(counter).or_insert((*place, MicroUnits(*total)));
        used.insert(*place, MicroUnits(*total));
        *total = total.saturating_sub(event.quantity);
    }
    let crossings = span
        .into_iter()
        .flat_map(|(counter, (place, after))| {
            let before = MicroUnits(totals.get(&counter).copied().unwrap_or_default());
            lines[place].crossings(before, after)
        })
        .collect();
    Ok((used, crossings))
}

fn outcome_of(
    line: &Line<'_>,
    verdict: Option<&Verdict>,
    used: Option<&MicroUnits>,
    now: DateTime<Utc>,
) -> Outcome {
    let Some(verdict) = verdict else {
        return Outcome::Recorded(line.receipt(used.copied().unwrap_or_default(), now));
    };
    let effect = match line.request.how {
        _ if !verdict.is_allowed => None,
        How::Reserve(until) => Some(Effect::Reserved {
            hold_id: line.id,
            expires_at: line.hold(now, until).expires_at,
        }),
        How::Track | How::Consume => Some(Effect::Consumed { event_id: line.id }),
    };
    Outcome::Judged(verdict.clone(), effect)
}

/// Keep what those are answered who came with a key. A denial is not kept: the same wish may be granted later.
async fn keep_answers(
    tx: &mut PgConnection,
    lines: &[Line<'_>],
    answers: &BTreeMap<usize, Outcome>,
) -> sqlx::Result<()> {
    let mut kept = Vec::new();
    for (place, outcome) in answers {
        let Some(key) = lines[*place].key() else {
            continue;
        };
        let is_denial = matches!(outcome, Outcome::Judged(_, None));
        let outcome = (!is_denial)
            .then(|| serde_json::to_value(outcome))
            .transpose()
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        kept.push((key, outcome));
    }
    if kept.is_empty() {
        return Ok(());
    }
    let kept: Vec<_> = kept
        .iter()
        .map(|(key, outcome)| (key, outcome.clone()))
        .collect();
    keys::keep_outcomes(tx, &kept).await
}

/// What a copy in the same group was denied: its key was given back, and the answer is the same for both.
fn denied_beside(
    lines: &[Line<'_>],
    place: usize,
    answers: &BTreeMap<usize, Outcome>,
) -> Option<Answered> {
    let stands_for = |line: &Line<'_>| {
        let key = line.key()?;
        Some((
            key.account_id,
            key.source,
            key.source_id,
            key.feature,
            key.request_sha256,
        ))
    };
    let wanted = stands_for(&lines[place])?;
    let mut denied = answers
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Judged(_, None)));
    let (_, outcome) =
        denied.find(|(other, _)| stands_for(&lines[**other]).as_ref() == Some(&wanted))?;
    Some(Answered {
        outcome: outcome.clone(),
        is_replay: false,
    })
}

/// What those were answered whose key was claimed before.
async fn earlier_answers(
    tx: &mut PgConnection,
    lines: &[Line<'_>],
    fresh: &[bool],
) -> sqlx::Result<BTreeMap<usize, Result<Answered, KeyReused>>> {
    let copies: Vec<(usize, NewKey)> = lines
        .iter()
        .enumerate()
        .filter(|(place, _)| !fresh[*place])
        .filter_map(|(place, line)| Some((place, line.key()?)))
        .collect();
    if copies.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<&NewKey> = copies.iter().map(|(_, key)| key).collect();
    let claimed = keys::claimed(tx, &wanted).await?;
    let answer = |key: &NewKey| {
        let first = claimed.iter().find(|first| {
            (
                &*first.account_id,
                &*first.source,
                &*first.source_id,
                &*first.feature,
            ) == (&*key.account_id, key.source, &*key.source_id, &*key.feature)
        });
        let first = first.filter(|first| first.request_sha256 == key.request_sha256);
        let outcome = first.and_then(|first| first.outcome.clone());
        match outcome.map(serde_json::from_value) {
            Some(Ok(outcome)) => Ok(Answered {
                outcome,
                is_replay: true,
            }),
            _ => Err(KeyReused),
        }
    };
    Ok(copies
        .iter()
        .map(|(place, key)| (*place, answer(key)))
        .collect())
}
