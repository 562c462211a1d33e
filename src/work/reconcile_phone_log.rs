//! Add what no callback told; see the promise in `jobs/reconcile_phone_log.rs`.

use serde_json::json;
use tollkeeper_jobs::{
    ReconcilePhoneLog,
    reconcile_phone_log::{difference, since},
};

use super::{Work, phone_log::Told};
use crate::{
    context::Context,
    db::{accounts, findings, subaccounts, webhooks::Provider},
    queue::{Failure, Lease, Outcome},
};

/// The finding about a call whose length is another one at the provider; its subject is the call.
const DIFFERS: &str = "call_differs";
/// Learnt in one transaction, which locks the account.
const BATCH_MAX: usize = 200;

impl Work for ReconcilePhoneLog {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let mut conn = ctx.pools.work.acquire().await?;
        let read = subaccounts::read_until(&mut conn, &self.account_id).await?;
        drop(conn);
        let Some((subaccount_ref, read_until)) = read else {
            return Ok(Outcome::Skipped("it has no subaccount".into()));
        };
        let since = since(read_until);
        let calls = ctx.twilio.calls_since(&subaccount_ref, since).await?;
        let messages = ctx.twilio.messages_since(&subaccount_ref, since).await?;
        let recordings = ctx.twilio.recordings_since(&subaccount_ref, since).await?;
        let Some(((calls, messages), recordings)) = calls.zip(messages).zip(recordings) else {
            // That it is missing is told by `sweep_provider_resources`.
            return Ok(Outcome::Skipped("Twilio knows no such subaccount".into()));
        };

        let told = Told {
            ctx,
            account_id: &self.account_id,
            provider: Provider::Twilio,
            told_at: now,
        };
        for batch in calls.chunks(BATCH_MAX) {
            let mut tx = lease.begin(&ctx.pools.work).await?;
            accounts::lock(&mut tx, &self.account_id).await?;
            for said in batch {
                let call = told.of_call(&mut tx, said).await?;
                if let Some((ours, theirs)) = difference(&call, said) {
                    let detail = json!({ "our_seconds": ours, "their_seconds": theirs });
                    let subject = &said.call_ref;
                    findings::open(&mut tx, DIFFERS, subject, &self.account_id, &detail).await?;
                }
            }
            tx.commit().await?;
        }
        for batch in messages.chunks(BATCH_MAX) {
            let mut tx = lease.begin(&ctx.pools.work).await?;
            accounts::lock(&mut tx, &self.account_id).await?;
            for said in batch {
                // What they wished was told when they wrote it; the list says it again for ever.
                told.of_message(&mut tx, said, None).await?;
            }
            tx.commit().await?;
        }
        for batch in recordings.chunks(BATCH_MAX) {
            let mut tx = lease.begin(&ctx.pools.work).await?;
            accounts::lock(&mut tx, &self.account_id).await?;
            for said in batch {
                told.of_recording(&mut tx, said, &subaccount_ref).await?;
            }
            tx.commit().await?;
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        subaccounts::was_read(&mut tx, &self.account_id, now).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
