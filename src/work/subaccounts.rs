//! What is asked for of every subaccount, a job each, in the turn of its account.

use tollkeeper_jobs::{Job, NewJob};

use crate::{
    context::Context,
    db::subaccounts,
    queue::{self, Failure, Fenced, Lease, Outcome},
};

/// Ask for this job of every account whose subaccount is there and not closed.
pub async fn ask_for_each<J: Job>(
    ctx: &Context,
    lease: &Lease,
    job: impl Fn(String) -> J,
) -> Result<Outcome, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let open = subaccounts::not_closed(&mut tx).await?.into_iter();
    let jobs = open.map(|account_id| NewJob::of(&job(account_id)));
    ask_for(ctx, tx, &jobs.collect::<Vec<_>>()).await
}

/// Ask for these jobs, if there are any.
pub async fn ask_for(ctx: &Context, mut tx: Fenced, jobs: &[NewJob]) -> Result<Outcome, Failure> {
    if jobs.is_empty() {
        return Ok(Outcome::Skipped("nobody has telephony".into()));
    }
    queue::enqueue_all(&mut tx, jobs).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(Outcome::Done)
}
