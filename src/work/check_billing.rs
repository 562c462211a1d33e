//! Ask every invariant of billing; see the promise in `jobs/check_billing.rs`.

use chrono::{DateTime, Utc};
use serde_json::json;
use tollkeeper_jobs::{CheckBilling, check_billing::sampled_since};

use super::Work;
use crate::{
    billing::check::{self, Broken, TOLD_MAX},
    context::Context,
    db::{
        billing::invariants::{INVARIANTS, Invariant},
        findings,
    },
    queue::{Failure, Lease, Outcome},
};

impl Work for CheckBilling {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let sample = (!self.is_full).then(|| sampled_since(now));
        let mut broken = 0;
        for invariant in &INVARIANTS {
            broken += look(ctx, lease, invariant, sample, now).await?;
        }
        Ok(match broken {
            0 => Outcome::Skipped("the books are right".into()),
            _ => Outcome::Done,
        })
    }
}

/// A finding for each offence. One that is open is looked at whatever its age, so that it closes when it holds again.
async fn look(
    ctx: &Context,
    lease: &Lease,
    invariant: &Invariant,
    sample: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<usize, Failure> {
    let kind = finding(invariant);
    let mut conn = ctx.pools.work.acquire().await?;
    let is_open = findings::is_any_open(&mut conn, &kind).await?;
    let since = sample.filter(|_| !is_open);
    let broken = check::check(&mut conn, invariant, since, now).await?;
    drop(conn);
    if broken.is_empty() && !is_open {
        return Ok(0);
    }
    let mut tx = lease.begin(&ctx.pools.work).await?;
    for one in &broken {
        let detail = json!({ "says": one.says, "what": one.offence.what });
        let (subject, account_id) = (&one.offence.subject, &one.offence.account_id);
        findings::keep(&mut tx, &kind, subject, account_id, &detail).await?;
    }
    // Where more is broken than is told, what is not told may be broken too.
    if (broken.len() as i64) < TOLD_MAX {
        let subjects: Vec<&str> = broken.iter().map(subject).collect();
        let kinds = vec![kind.as_str(); subjects.len()];
        let why = "it holds again";
        findings::close_all_but(&mut tx, &[&kind], &kinds, &subjects, why).await?;
    }
    tx.commit().await?;
    if !broken.is_empty() {
        let (id, says) = (invariant.id, invariant.says);
        tracing::error!(
            invariant = id,
            broken = broken.len(),
            "no longer true: {says}"
        );
    }
    Ok(broken.len())
}

fn subject(broken: &Broken) -> &str {
    &broken.offence.subject
}

/// The kind of the findings about an invariant.
fn finding(invariant: &Invariant) -> String {
    format!("billing_{}_broken", invariant.id.to_lowercase())
}
