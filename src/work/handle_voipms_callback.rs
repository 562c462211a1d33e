//! Look for what a callback of VoIP.ms tells of; see the promise in `jobs/handle_voipms_callback.rs`.

use tollkeeper_jobs::{
    HandleVoipmsCallback,
    handle_voipms_callback::{Plan, days, decide},
    telephony::voipms::Hint,
};
use uuid::Uuid;

use super::{Work, phone_log::of_nobody, voipms_log};
use crate::{
    context::Context,
    db::{voipms_numbers, webhooks},
    queue::{Failure, Fenced, Lease, Outcome},
};

impl Work for HandleVoipmsCallback {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let Some(webhook) = webhooks::load(&mut tx, self.webhook_id).await? else {
            let why = format!("there is no webhook {}", self.webhook_id);
            return Err(Failure::Stop(why));
        };
        let params: Vec<(String, String)> =
            form_urlencoded::parse(&webhook.body).into_owned().collect();
        let Some(hint) = Hint::of(&params) else {
            return end(tx, webhook.id, "ignored", "it names no numbers").await;
        };
        let Some(voipms) = &ctx.voipms else {
            // `reconcile_phone_logs` has it taken up once it is.
            webhooks::keep(&mut tx, webhook.id).await?;
            tx.commit().await?;
            let why = "VoIP.ms is not configured; it is kept until it is";
            return Ok(Outcome::Skipped(why.into()));
        };
        let Some(number) = voipms_numbers::named(&mut tx, &hint.to).await? else {
            return of_nobody(tx, &webhook).await;
        };
        drop(tx);
        let received_at = webhook.received_at;
        let listed =
            voipms_log::read(ctx, lease, voipms, &number, days(received_at), received_at).await?;
        ctx.wake.ring();
        match decide(&hint, &listed, received_at, ctx.clock.now()) {
            Plan::LookAgain(at) => {
                let why = "VoIP.ms does not list that message yet";
                Ok(Outcome::Later(at, why.into()))
            }
            Plan::MadeUp => {
                let tx = lease.begin(&ctx.pools.work).await?;
                let why = "VoIP.ms knows no such message";
                end(tx, webhook.id, "ignored", why).await
            }
            Plan::Confirmed => {
                let mut tx = lease.begin(&ctx.pools.work).await?;
                webhooks::mark(&mut tx, webhook.id, "handled").await?;
                tx.commit().await?;
                Ok(Outcome::Done)
            }
        }
    }
}

/// No message comes of it.
async fn end(mut tx: Fenced, webhook_id: Uuid, state: &str, why: &str) -> Result<Outcome, Failure> {
    webhooks::mark(&mut tx, webhook_id, state).await?;
    tx.commit().await?;
    Ok(Outcome::Skipped(why.into()))
}
