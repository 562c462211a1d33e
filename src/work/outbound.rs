//! What `place_call` and `send_message` have in common: the wish becomes one effect at the provider, or nothing at all.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::telephony::{
    calls, messages,
    outbound::{Carrier, Channel, NOT_SENT, OUTCOME_UNKNOWN, Refused, refused},
};
use uuid::Uuid;

use super::phone_log::Told;
use crate::{
    context::Context,
    db::{
        self, accounts, findings,
        outbound::{self as wishes, Outbound},
        webhooks::Provider,
    },
    journal::{self, Found, Unfinished, twilio, voipms},
    outbound,
    queue::{Failure, Lease, Outcome},
    usage::Rules,
};

/// Somebody waits for what is not known: the provider's list is looked at again so soon.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

pub(super) async fn carry_out(
    ctx: &Context,
    lease: &Lease,
    outbound_id: Uuid,
) -> Result<Outcome, Failure> {
    let wish = {
        let mut conn = ctx.pools.work.acquire().await?;
        wishes::load(&mut conn, outbound_id).await?
    };
    let Some(wish) = wish else {
        return Err(Failure::Stop(format!("there is no wish {outbound_id}")));
    };
    if wish.state != "asked" {
        return Ok(Outcome::Skipped("it is decided already".into()));
    }
    let wish = &wish;
    let done = match wish.carrier() {
        Carrier::Twilio => journal::once(ctx, lease, &twilio::Dispatch { wish }).await,
        Carrier::Voipms => journal::once(ctx, lease, &voipms::Dispatch { wish }).await,
    };
    match done {
        Ok(found) => sent(ctx, lease, wish, &found).await,
        Err(Unfinished::Refused(refusal)) => match refused(&refusal.code) {
            Refused::NotYet => {
                let why = "the provider's queue of that number is full";
                Err(Failure::Retry(why.into()))
            }
            why => failed(ctx, lease, wish, &refusal.code, why == Refused::OptedOut).await,
        },
        Err(Unfinished::NotWanted(why)) => {
            failed(ctx, lease, wish, NOT_SENT, false).await?;
            Ok(Outcome::Skipped(why.into()))
        }
        Err(Unfinished::Failed(Failure::Wait { after, why })) => Err(Failure::Wait {
            after: after.map(|after| after.min(LOOK_AGAIN)),
            why,
        }),
        Err(Unfinished::Failed(failure)) => Err(failure),
    }
}

/// The provider has it: from now on it is a call or a message like any other.
async fn sent(
    ctx: &Context,
    lease: &Lease,
    wish: &Outbound,
    found: &Found,
) -> Result<Outcome, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, &wish.account_id).await?;
    let now = ctx.clock.now();
    wishes::sent(&mut tx, wish.id, &found.ext_ref, now).await?;
    decided(&mut tx, wish).await?;
    let told = Told {
        ctx,
        account_id: &wish.account_id,
        provider: match wish.carrier() {
            Carrier::Twilio => Provider::Twilio,
            Carrier::Voipms => Provider::Voipms,
        },
        told_at: now,
    };
    match wish.channel() {
        Channel::Call => {
            told.of_call(&mut tx, &call(wish, found)).await?;
        }
        Channel::Message => {
            told.of_message(&mut tx, &message(wish, found), None)
                .await?;
        }
    }
    tx.commit().await?;
    ctx.wake.ring();
    Ok(Outcome::Done)
}

fn call(wish: &Outbound, found: &Found) -> calls::Report {
    calls::Report {
        call_ref: found.ext_ref.clone(),
        is_inbound: Some(false),
        from: Some(wish.from_number.clone()),
        to: Some(wish.to_number.clone()),
        status: found.answer["status"].as_str().and_then(calls::Status::of),
        at: Some(wish.asked_at),
        ..Default::default()
    }
}

fn message(wish: &Outbound, found: &Found) -> messages::Report {
    let segments = found.answer["num_segments"].as_str();
    let segments = segments.and_then(|count| count.parse().ok());
    messages::Report {
        message_ref: found.ext_ref.clone(),
        is_inbound: Some(false),
        from: Some(wish.from_number.clone()),
        to: Some(wish.to_number.clone()),
        body: Some(wish.body.clone()),
        // 0 where the provider does not know yet; then our own count is as good.
        segments: segments
            .filter(|count| *count > 0)
            .or_else(|| wish.units.try_into().ok()),
        status: found.answer["status"]
            .as_str()
            .and_then(messages::Status::of),
        at: Some(wish.asked_at),
        ..Default::default()
    }
}

/// Nobody has to look at it any more.
async fn decided(tx: &mut PgConnection, wish: &Outbound) -> sqlx::Result<()> {
    let subject = wish.id.to_string();
    findings::close(tx, OUTCOME_UNKNOWN, &subject, "it is decided").await?;
    Ok(())
}

/// It was never sent. What was set aside for it comes back.
async fn failed(
    ctx: &Context,
    lease: &Lease,
    wish: &Outbound,
    error_code: &str,
    is_opted_out: bool,
) -> Result<Outcome, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, &wish.account_id).await?;
    outbound::failed(&mut tx, &Rules::of(ctx), wish, error_code).await?;
    decided(&mut tx, wish).await?;
    if is_opted_out {
        let now: DateTime<Utc> = ctx.clock.now();
        let (account_id, ours, theirs) = (&wish.account_id, &wish.from_number, &wish.to_number);
        db::messages::said(&mut tx, account_id, ours, theirs, true, now).await?;
    }
    tx.commit().await?;
    ctx.wake.ring();
    let why = format!("the provider refused it (code {error_code})");
    Ok(Outcome::Skipped(why))
}
