//! Add what no callback told; see the promise in `jobs/reconcile_phone_log.rs`.

use std::collections::HashSet;

use chrono::NaiveDate;
use serde_json::json;
use tollkeeper_jobs::{
    ReconcilePhoneLog,
    reconcile_phone_log::{FALLBACK_OPEN_FOR, FALLBACK_PRICED_WITHIN, difference, since},
    telephony::{calls, messages, recordings},
};

use super::{Work, phone_log::Told};
use crate::{
    clients::ClientError,
    context::Context,
    db::{accounts, findings, outbound, subaccounts, webhooks::Provider},
    queue::{Failure, Lease, Outcome},
};

/// The finding about a call whose length is another one at the provider; its subject is the call.
const DIFFERS: &str = "call_differs";
/// Learnt in one transaction, which locks the account.
const BATCH_MAX: usize = 200;

impl Work for ReconcilePhoneLog {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let account_id = &self.account_id;
        let (home, fallbacks) = {
            let mut conn = ctx.pools.work.acquire().await?;
            let (open, any) = (now - FALLBACK_OPEN_FOR, now - FALLBACK_PRICED_WITHIN);
            (
                subaccounts::read_until(&mut conn, account_id).await?,
                outbound::fallbacks(&mut conn, account_id, open, any).await?,
            )
        };
        let told = Told {
            ctx,
            account_id,
            provider: Provider::Twilio,
            told_at: now,
        };
        // Everything in the subaccount is the account's, whoever asked for it.
        let mut found = None;
        if let Some((subaccount_ref, read_until)) = &home {
            found = Listed::of(ctx, subaccount_ref, since(*read_until)).await?;
        }
        if found.is_none() && fallbacks.is_empty() {
            // That Twilio has lost one is told by `sweep_provider_resources`.
            let why = "it has no subaccount, or Twilio knows it not";
            return Ok(Outcome::Skipped(why.into()));
        }
        if let Some(listed) = found {
            listed.learn(&told, lease).await?;
            let mut tx = lease.begin(&ctx.pools.work).await?;
            subaccounts::was_read(&mut tx, account_id, now).await?;
            tx.commit().await?;
        }
        for shared in fallbacks {
            let listed = Listed::of(ctx, &shared.provider_ref, since(shared.since)).await?;
            let refs = shared.refs.into_iter().collect();
            if let Some(listed) = listed {
                listed.only(&refs).learn(&told, lease).await?;
            }
        }
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}

/// What an account at the provider has in its lists.
struct Listed {
    held_by_ref: String,
    calls: Vec<calls::Report>,
    messages: Vec<messages::Report>,
    recordings: Vec<recordings::Report>,
}

impl Listed {
    /// From this day on. None: Twilio knows no such account.
    async fn of(
        ctx: &Context,
        account: &str,
        since: NaiveDate,
    ) -> Result<Option<Listed>, ClientError> {
        let calls = ctx.twilio.calls_since(account, since).await?;
        let messages = ctx.twilio.messages_since(account, since).await?;
        let recordings = ctx.twilio.recordings_since(account, since).await?;
        let all = calls.zip(messages).zip(recordings);
        Ok(all.map(|((calls, messages), recordings)| Listed {
            held_by_ref: account.to_owned(),
            calls,
            messages,
            recordings,
        }))
    }

    /// Only these calls and messages, and what was recorded of them.
    fn only(mut self, refs: &HashSet<String>) -> Listed {
        self.calls.retain(|call| refs.contains(&call.call_ref));
        self.messages
            .retain(|message| refs.contains(&message.message_ref));
        self.recordings
            .retain(|one| one.call_ref.as_ref().is_some_and(|of| refs.contains(of)));
        self
    }

    async fn learn(&self, told: &Told<'_>, lease: &Lease) -> Result<(), Failure> {
        let (pool, account_id) = (&told.ctx.pools.work, told.account_id);
        for batch in self.calls.chunks(BATCH_MAX) {
            let mut tx = lease.begin(pool).await?;
            accounts::lock(&mut tx, account_id).await?;
            for said in batch {
                let call = told.of_call(&mut tx, said).await?;
                if let Some((ours, theirs)) = difference(&call, said) {
                    let detail = json!({ "our_seconds": ours, "their_seconds": theirs });
                    findings::keep(&mut tx, DIFFERS, &said.call_ref, account_id, &detail).await?;
                }
            }
            tx.commit().await?;
        }
        for batch in self.messages.chunks(BATCH_MAX) {
            let mut tx = lease.begin(pool).await?;
            accounts::lock(&mut tx, account_id).await?;
            for said in batch {
                // What they wished was told when they wrote it; the list says it again for ever.
                told.of_message(&mut tx, said, None).await?;
            }
            tx.commit().await?;
        }
        for batch in self.recordings.chunks(BATCH_MAX) {
            let mut tx = lease.begin(pool).await?;
            accounts::lock(&mut tx, account_id).await?;
            for said in batch {
                told.of_recording(&mut tx, said, &self.held_by_ref).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}
