//! Give a returning account its telephony back: the same subaccount, the same number.

use tollkeeper_jobs::{
    ProvisionSubaccount, ReactivateTelephony,
    reactivate_telephony::{self, Plan},
};

use super::{Work, account};
use crate::{
    context::Context,
    db::telephony,
    queue::{self, Failure, Lease, Outcome},
};

impl Work for ReactivateTelephony {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let account = account::lock(ctx, &mut tx, &self.account_id).await?;
        match reactivate_telephony::decide(account.standing, account.wanted) {
            Plan::Nothing(why) => return Ok(Outcome::Skipped(why.into())),
            Plan::Reactivate => {}
        }
        telephony::reactivate(&mut tx, &self.account_id).await?;
        let account_id = self.account_id.clone();
        queue::enqueue(&mut tx, &ProvisionSubaccount { account_id }).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
