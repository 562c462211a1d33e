//! Add what no callback told; see the promise in `jobs/reconcile_voipms_log.rs`.

use tollkeeper_jobs::{ReconcileVoipmsLog, reconcile_voipms_log::span};

use super::{Work, voipms_log};
use crate::{
    context::Context,
    db::voipms_numbers,
    queue::{Failure, Lease, Outcome},
};

impl Work for ReconcileVoipmsLog {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(voipms) = &ctx.voipms else {
            return Ok(Outcome::Skipped("VoIP.ms is not configured".into()));
        };
        let mut conn = ctx.pools.work.acquire().await?;
        let numbers = voipms_numbers::held(&mut conn, &self.account_id).await?;
        drop(conn);
        if numbers.is_empty() {
            return Ok(Outcome::Skipped("it has no number at VoIP.ms".into()));
        }
        for number in &numbers {
            let now = ctx.clock.now();
            let (first, last, until) = span(number.read_until, now);
            voipms_log::read(ctx, lease, voipms, number, (first, last), now).await?;
            let mut tx = lease.begin(&ctx.pools.work).await?;
            voipms_numbers::was_read(&mut tx, number.id, until).await?;
            tx.commit().await?;
        }
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
