//! Have the providers' lists of every account read; see the promise in `jobs/reconcile_phone_logs.rs`.

use tollkeeper_jobs::{
    HandleVoipmsCallback, NewJob, ReconcilePhoneLog, ReconcilePhoneLogs, ReconcileVoipmsLog,
    reconcile_phone_log::FALLBACK_OPEN_FOR,
};

use super::{Work, subaccounts::ask_for};
use crate::{
    context::Context,
    db::{outbound, subaccounts, voipms_numbers, webhooks},
    queue::{Failure, Lease, Outcome},
};

/// So many callbacks that were kept are taken up at a time.
const KEPT_MAX: i64 = 1_000;

impl Work for ReconcilePhoneLogs {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let at_twilio = subaccounts::not_closed(&mut tx).await?.into_iter();
        let (at_voipms, kept) = match ctx.voipms {
            Some(_) => (
                voipms_numbers::holders(&mut tx).await?,
                webhooks::take_up_kept(&mut tx, KEPT_MAX).await?,
            ),
            None => Default::default(),
        };
        let kept = kept.into_iter();
        let kept = kept.map(|webhook_id| NewJob::of(&HandleVoipmsCallback { webhook_id }));
        let since = ctx.clock.now() - FALLBACK_OPEN_FOR;
        let fallback_users = outbound::fallback_users(&mut tx, since).await?;
        let of_twilio = at_twilio
            .chain(fallback_users)
            .map(|account_id| NewJob::of(&ReconcilePhoneLog { account_id }));
        let at_voipms = at_voipms.into_iter();
        let of_voipms = at_voipms.map(|account_id| NewJob::of(&ReconcileVoipmsLog { account_id }));
        let all: Vec<NewJob> = of_twilio.chain(of_voipms).chain(kept).collect();
        ask_for(ctx, tx, &all).await
    }
}
