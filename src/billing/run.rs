//! A billing run by hand: what is over is closed now, and what that charges can be seen first.
//!
//! A dry run does what the run does, in a transaction that is taken back. So the two cannot differ. What closes periods
//! leaves a row in `operator_actions` in the same transaction: no charge is without its author.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};
use uuid::Uuid;

use super::{Closed, Rules, close};
use crate::{
    db::billing::{periods, plans},
    queue::operate::{By, record},
};

/// This many are closed in one transaction.
pub const BATCH_MAX: usize = 200;

/// One period that is over, and what closing it charges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub account_id: String,
    pub period_id: Uuid,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub charges: Vec<PlannedCharge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCharge {
    pub meter: String,
    /// The number a fee is for; empty for usage.
    pub subject: String,
    pub description: String,
    /// Millionths of the meter's unit, of the whole period.
    pub quantity: i64,
    pub amount_minor: i64,
    pub currency: String,
    /// Why it is not to be paid.
    pub waiver: Option<String>,
}

/// What a run did, or would do.
#[derive(Debug, Default, Serialize)]
pub struct Run {
    pub planned: Vec<Planned>,
    /// Periods that wait for Stripe's word on their subscription; jobs of their own ask for it.
    pub asking: Vec<Uuid>,
    /// Periods that are no longer as they were planned: nothing was done about them.
    pub moved: Vec<Uuid>,
}

impl Run {
    /// Of what is planned: the same for the same.
    pub fn sha256(&self) -> String {
        let planned = serde_json::to_vec(&self.planned).expect("a plan is plain data");
        Sha256::digest(planned)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The periods that are over and settled, oldest first.
pub async fn due(
    conn: &mut PgConnection,
    rules: Rules<'_>,
    account_id: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    let mut due = Vec::new();
    let mut after = None;
    loop {
        let before = now - rules.settles_for;
        let ended = periods::ended(conn, before, after, BATCH_MAX as i64).await?;
        let Some((ends_at, period_id, _)) = ended.last() else {
            return Ok(due);
        };
        after = Some((*ends_at, *period_id));
        let wanted = ended
            .into_iter()
            .filter(|(.., of)| account_id.is_none_or(|account_id| of == account_id));
        due.extend(wanted.map(|(_, period_id, _)| period_id));
    }
}

/// Who closes periods.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub by: By<'a>,
    /// Close only what charges what was planned.
    pub plan: Option<(Uuid, &'a [Planned])>,
}

/// What closing a batch of periods would charge. Nothing is stored.
pub async fn dry(
    conn: &mut PgConnection,
    rules: Rules<'_>,
    batch: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<Run> {
    let mut tx = conn.begin().await?;
    // Whom it parks is not parked, so the log does not tell of it.
    let closing = close(&mut tx, rules, batch, now).with_subscriber(NoSubscriber::default());
    let closed = closing.await?;
    tx.rollback().await?;
    let mut run = Run::default();
    run.add(closed);
    Ok(run)
}

/// Close a batch of periods; with a plan, only where that charges what was planned.
pub async fn carry_out(
    conn: &mut PgConnection,
    rules: Rules<'_>,
    batch: &[Uuid],
    order: Order<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Run> {
    if let Some(done) = carry_out_at_once(conn, rules, batch, order, now).await? {
        return Ok(done);
    }
    // One of them moved: each by itself, so that the others are done.
    let mut run = Run::default();
    for one in batch.chunks(1) {
        match carry_out_at_once(conn, rules, one, order, now).await? {
            Some(done) => run.append(done),
            None => run.moved.extend(one),
        }
    }
    Ok(run)
}

/// None: something is not as it was planned, and nothing was done.
async fn carry_out_at_once(
    conn: &mut PgConnection,
    rules: Rules<'_>,
    batch: &[Uuid],
    order: Order<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Run>> {
    let mut tx = conn.begin().await?;
    let was_open = periods::load(&mut tx, batch).await?;
    let mut done = Run::default();
    done.add(close(&mut tx, rules, batch, now).await?);
    if let Some((_, plan)) = order.plan {
        let is_as_planned = by_period(&done.planned, batch) == by_period(plan, batch);
        let is_open = was_open.iter().all(|period| period.closed_at.is_none());
        if !is_as_planned || !is_open {
            tx.rollback().await?;
            return Ok(None);
        }
    }
    let periods: Vec<Uuid> = done.planned.iter().map(|one| one.period_id).collect();
    let target = json!({ "plan": order.plan.map(|(plan_id, _)| plan_id), "periods": periods });
    let affected = periods.len() as i64;
    record(&mut tx, "run_billing", order.by, None, target, affected).await?;
    tx.commit().await?;
    Ok(Some(done))
}

fn by_period<'a>(planned: &'a [Planned], batch: &[Uuid]) -> BTreeMap<Uuid, &'a Planned> {
    let of_batch = planned.iter().filter(|one| batch.contains(&one.period_id));
    of_batch.map(|one| (one.period_id, one)).collect()
}

/// Keep what a dry run found, to be carried out as it is.
pub async fn keep(
    conn: &mut PgConnection,
    run: &Run,
    made_by: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Uuid> {
    let planned = serde_json::to_value(&run.planned).expect("a plan is plain data");
    plans::insert(conn, &run.sha256(), &planned, made_by, now).await
}

impl Run {
    /// And what came of another batch.
    pub fn append(&mut self, mut other: Run) {
        self.planned.append(&mut other.planned);
        self.asking.append(&mut other.asking);
        self.moved.append(&mut other.moved);
    }

    fn add(&mut self, closed: Closed) {
        let mut charges: BTreeMap<Uuid, Vec<PlannedCharge>> = BTreeMap::new();
        for charge in closed.charges {
            charges
                .entry(charge.period_id)
                .or_default()
                .push(PlannedCharge {
                    meter: charge.meter,
                    subject: charge.subject,
                    description: charge.description,
                    quantity: charge.quantity,
                    amount_minor: charge.rated_minor - charge.previous_rated_minor,
                    currency: charge.currency,
                    waiver: charge.waiver.map(str::to_owned),
                });
        }
        // What nobody pays for is closed too, and is nothing to tell of.
        let paid = closed
            .rated
            .into_iter()
            .filter(|period| period.subscription_ref.is_some());
        self.planned.extend(paid.map(|period| Planned {
            charges: charges.remove(&period.period_id).unwrap_or_default(),
            account_id: period.account_id,
            period_id: period.period_id,
            starts_at: period.starts_at,
            ends_at: period.ends_at,
        }));
        self.asking.extend(closed.asking.iter().map(|(id, _)| id));
    }
}
