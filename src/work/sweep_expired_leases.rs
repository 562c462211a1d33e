//! Take back the runs whose worker is gone; see the promise in `jobs/sweep_expired_leases.rs`.

use tollkeeper_jobs::SweepExpiredLeases;

use super::Work;
use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome, upkeep},
};

impl Work for SweepExpiredLeases {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let swept = upkeep::sweep_expired(&mut tx, ctx).await?;
        tx.commit().await?;
        Ok(if swept == 0 {
            Outcome::Skipped("no lease has run out".into())
        } else {
            Outcome::Done
        })
    }
}
