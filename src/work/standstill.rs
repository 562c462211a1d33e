//! Steps of provisioning and its end that a dead, cancelled or discarded job left undone.

use chrono::TimeDelta;
use tollkeeper_jobs::{
    NewJob, ProvisionNumber, ProvisionSubaccount, ReactivateTelephony, ReleaseNumber,
    SuspendTelephony, SyncSubscription,
};

use crate::{
    context::Context,
    db::{phone_numbers, subscriptions, telephony},
    queue::{self, Failure, Lease},
};

/// What moved for the last time so long ago is asked for again.
const STUCK_AFTER: TimeDelta = TimeDelta::hours(1);
const STUCK_MAX: i64 = 1_000;

/// Ask again for every step that a dead, cancelled or discarded job left undone, in both directions.
pub async fn ask_again(ctx: &Context, lease: &Lease) -> Result<(), Failure> {
    let since = ctx.clock.now() - STUCK_AFTER;
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let mut jobs = Vec::new();
    for subscription_ref in subscriptions::overdue(&mut tx, since, STUCK_MAX).await? {
        jobs.push(NewJob::of(&SyncSubscription { subscription_ref }));
    }
    for account_id in telephony::stuck(&mut tx, since, STUCK_MAX).await? {
        jobs.push(NewJob::of(&ProvisionSubaccount { account_id }));
    }
    for account_id in telephony::unended(&mut tx, since, STUCK_MAX).await? {
        // One of them finds something to do.
        let returned = account_id.clone();
        jobs.push(NewJob::of(&ReactivateTelephony {
            account_id: returned,
        }));
        jobs.push(NewJob::of(&SuspendTelephony { account_id }));
    }
    for (number_id, account_id, is_included) in
        phone_numbers::stuck(&mut tx, since, STUCK_MAX).await?
    {
        jobs.push(NewJob::of(&match is_included {
            true => ProvisionNumber::included(&account_id),
            false => ProvisionNumber::additional(&account_id, number_id),
        }));
    }
    for (number_id, account_id) in phone_numbers::unreleased(&mut tx, since, STUCK_MAX).await? {
        jobs.push(NewJob::of(&ReleaseNumber {
            account_id,
            number_id,
        }));
    }
    queue::enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(())
}
