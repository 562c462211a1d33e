//! Have every subaccount's usage compared; see the promise in `jobs/compare_usage_records.rs`.

use tollkeeper_jobs::{CompareUsage, CompareUsageRecords};

use super::{Work, subaccounts::ask_for_each};
use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome},
};

impl Work for CompareUsageRecords {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        ask_for_each(ctx, lease, |account_id| CompareUsage { account_id }).await
    }
}
