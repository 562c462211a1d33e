//! Have every subaccount's lists read; see the promise in `jobs/reconcile_phone_logs.rs`.

use tollkeeper_jobs::{ReconcilePhoneLog, ReconcilePhoneLogs};

use super::{Work, subaccounts::ask_for_each};
use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome},
};

impl Work for ReconcilePhoneLogs {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        ask_for_each(ctx, lease, |account_id| ReconcilePhoneLog { account_id }).await
    }
}
