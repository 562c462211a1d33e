//! Calls and messages that apps asked for and that no job carries out any more: it died, or somebody took it away.

use serde_json::json;
use tollkeeper_jobs::{
    outside::State,
    telephony::outbound::{Carrier, NOT_SENT, OUTCOME_UNKNOWN},
};

use crate::{
    context::Context,
    db::{
        accounts, findings,
        outbound::{self as wishes, LeftBehind},
        provider_calls,
    },
    journal::{Effect, twilio, voipms},
    outbound,
    queue::{self, Failure, Lease},
    usage::Rules,
};

/// The next look takes the rest.
const BATCH_MAX: i64 = 1_000;

/// Settle what was never sent, and tell a person of what may have been: that stays as it is, with its money, until it is
/// found or it is known that it is not there. Whoever runs its job again looks for it, and sends nothing that was settled.
pub async fn settle(ctx: &Context, lease: &Lease) -> Result<(), Failure> {
    let all = {
        let mut conn = ctx.pools.work.acquire().await?;
        wishes::left_behind(&mut conn, BATCH_MAX).await?
    };
    for left in &all {
        one(ctx, lease, left).await?;
    }
    Ok(())
}

async fn one(ctx: &Context, lease: &Lease, left: &LeftBehind) -> Result<(), Failure> {
    let wish = &left.wish;
    let kind = match wish.carrier() {
        Carrier::Twilio => twilio::Dispatch::KIND,
        Carrier::Voipms => voipms::Dispatch::KIND,
    };
    let subject = wish.id.to_string();
    let mut tx = lease.begin(&ctx.pools.work).await?;
    // Nothing leaves but under this lock, and then the journal says so: see `journal::outbound::permission`.
    accounts::lock(&mut tx, &wish.account_id).await?;
    // It was found in another transaction, and a retried job may have ended it since.
    if !wishes::is_asked(&mut tx, wish.id).await? {
        return Ok(());
    }
    let asked = provider_calls::lock(&mut tx, &wish.provider, kind, &subject).await?;
    if asked.is_none_or(|asked| asked.row().state == State::Planned) {
        outbound::failed(&mut tx, &Rules::of(ctx), wish, NOT_SENT).await?;
    } else {
        wishes::unknown(&mut tx, wish.id, OUTCOME_UNKNOWN, ctx.clock.now()).await?;
        let detail = json!({ "outbound_id": wish.id, "channel": wish.channel });
        findings::keep(
            &mut tx,
            OUTCOME_UNKNOWN,
            &subject,
            &wish.account_id,
            &detail,
        )
        .await?;
        // Where no job is left to be retried. It comes too late to send anything: it can only look.
        if !left.has_job && ctx.clock.now() >= wish.expires_at {
            queue::enqueue_all(&mut tx, &[outbound::job(wish)]).await?;
        }
    }
    tx.commit().await?;
    ctx.wake.ring();
    Ok(())
}
