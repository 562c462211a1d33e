//! Write down what a callback says of a call, a message or a recording; see the promise in `jobs/handle_twilio_callback.rs`.

use chrono::TimeDelta;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    HandleTwilioCallback,
    handle_twilio_callback::{Plan, decide},
};

use super::{
    Work,
    phone_log::{Told, of_nobody},
};
use crate::{
    context::Context,
    db::{
        accounts, calls, phone_numbers, subaccounts,
        webhooks::{self, Provider, StoredWebhook},
    },
    queue::{Failure, Lease, Outcome},
};

/// Callbacks come in any order: a recording's may be here before its call's.
const CALL_COMES_WITHIN: TimeDelta = TimeDelta::minutes(10);
const CALL_LOOKED_FOR_EVERY: TimeDelta = TimeDelta::seconds(20);

impl Work for HandleTwilioCallback {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let Some(webhook) = webhooks::load(&mut tx, self.webhook_id).await? else {
            let why = format!("there is no webhook {}", self.webhook_id);
            return Err(Failure::Stop(why));
        };
        let params: Vec<(String, String)> =
            form_urlencoded::parse(&webhook.body).into_owned().collect();
        let plan = decide(&webhook.kind, &params);
        let (ours, call_ref) = match &plan {
            Plan::Call(said, _) => (ours(said.is_inbound, &said.from, &said.to), None),
            Plan::Message(said, _) => (ours(said.is_inbound, &said.from, &said.to), None),
            Plan::Recording(said) => (Vec::new(), said.call_ref.as_deref()),
            Plan::Ignore => {
                webhooks::mark(&mut tx, webhook.id, "ignored").await?;
                tx.commit().await?;
                return Ok(Outcome::Skipped(
                    "it names nothing that is written down".into(),
                ));
            }
        };
        let Some(account_id) = whose(ctx, &mut tx, &webhook, &ours, call_ref).await? else {
            let known_by = webhook.received_at + CALL_COMES_WITHIN;
            if call_ref.is_some() && ctx.clock.now() < known_by {
                let again_at = ctx.clock.now() + CALL_LOOKED_FOR_EVERY;
                let why = "its call is not known yet";
                return Ok(Outcome::Later(again_at, why.into()));
            }
            return of_nobody(tx, &webhook).await;
        };
        accounts::lock(&mut tx, &account_id).await?;
        let told = Told {
            ctx,
            account_id: &account_id,
            provider: Provider::Twilio,
            told_at: webhook.received_at,
        };
        match plan {
            Plan::Call(said, recording) => {
                told.of_call(&mut tx, &said).await?;
                if let Some(said) = recording {
                    told.of_recording(&mut tx, &said, &webhook.endpoint).await?;
                }
            }
            Plan::Recording(said) => {
                told.of_recording(&mut tx, &said, &webhook.endpoint).await?;
            }
            Plan::Message(said, wish) => told.of_message(&mut tx, &said, wish).await?,
            Plan::Ignore => {}
        }
        webhooks::mark(&mut tx, webhook.id, "handled").await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}

/// Which of its numbers is ours: the one that was called, or the one that called. Whom one customer of ours calls may be
/// another. What does not say which way it went may be either.
fn ours<'a>(
    is_inbound: Option<bool>,
    from: &'a Option<String>,
    to: &'a Option<String>,
) -> Vec<&'a str> {
    let either = match is_inbound {
        Some(true) => vec![to],
        Some(false) => vec![from],
        None => vec![to, from],
    };
    either
        .into_iter()
        .filter_map(|one| one.as_deref())
        .collect()
}

/// Whose it is: its subaccount's owner; under the master account whose number it is, or whom the signed URL names. Where
/// those two differ it is nobody's. A recording says no number: it is of the call that it names.
async fn whose(
    ctx: &Context,
    tx: &mut PgConnection,
    webhook: &StoredWebhook,
    numbers: &[&str],
    call_ref: Option<&str>,
) -> sqlx::Result<Option<String>> {
    if webhook.endpoint != ctx.config.twilio.account_sid {
        return subaccounts::owner(tx, &webhook.endpoint).await;
    }
    let named = webhook.headers["user"].as_str();
    let owner = match call_ref {
        Some(call_ref) => calls::owner(tx, call_ref).await?,
        None => phone_numbers::owner(tx, numbers).await?,
    };
    match owner {
        Some(owner) => Ok(Some(owner).filter(|owner| named.is_none_or(|named| named == owner))),
        None => match named {
            Some(named) if accounts::lock(tx, named).await? => Ok(Some(named.to_owned())),
            _ => Ok(None),
        },
    }
}
