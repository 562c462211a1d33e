//! One file per job, same name as in `jobs/`: load the facts, decide, apply.

mod prune_history;
mod sweep_expired_leases;

use std::future::Future;

use tollkeeper_jobs::Job;

use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome},
};

/// How a job is done. May be run twice, at any time, beside itself: its header says why that is
/// harmless. Every transaction that writes begins with [`Lease::hold`].
pub trait Work: Job {
    fn run(
        &self,
        ctx: &Context,
        lease: &Lease,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}
