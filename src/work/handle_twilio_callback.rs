//! Write down what a callback says of a call or a message; see the promise in `jobs/handle_twilio_callback.rs`.

use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    HandleTwilioCallback,
    handle_twilio_callback::{Plan, decide},
};

use super::{Work, phone_log::Told};
use crate::{
    context::Context,
    db::{
        accounts, findings, phone_numbers, subaccounts,
        webhooks::{self, StoredWebhook},
    },
    queue::{Failure, Fenced, Lease, Outcome},
};

/// The finding about callbacks for a number that nobody has; its subject is the provider's account.
const OF_NOBODY: &str = "callback_of_nobody";

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
        let (from, to) = match &plan {
            Plan::Call(said) => (&said.from, &said.to),
            Plan::Message(said, _) => (&said.from, &said.to),
            Plan::Ignore => {
                webhooks::mark(&mut tx, webhook.id, "ignored").await?;
                tx.commit().await?;
                return Ok(Outcome::Skipped("it names no call and no message".into()));
            }
        };
        let numbers: Vec<&str> = [to, from]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let Some(account_id) = whose(ctx, &mut tx, &webhook, &numbers).await? else {
            return of_nobody(tx, &webhook).await;
        };
        accounts::lock(&mut tx, &account_id).await?;
        let told = Told {
            ctx,
            account_id: &account_id,
            told_at: webhook.received_at,
        };
        match plan {
            Plan::Call(said) => {
                told.of_call(&mut tx, &said).await?;
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

/// Whose call or message it is: its subaccount's owner; under the master account whose number it is, or whom the signed
/// URL names. Where those two differ it is nobody's.
async fn whose(
    ctx: &Context,
    tx: &mut PgConnection,
    webhook: &StoredWebhook,
    numbers: &[&str],
) -> sqlx::Result<Option<String>> {
    if webhook.endpoint != ctx.config.twilio.account_sid {
        return subaccounts::owner(tx, &webhook.endpoint).await;
    }
    let named = webhook.headers["user"].as_str();
    match phone_numbers::owner(tx, numbers).await? {
        Some(owner) => Ok(Some(owner).filter(|owner| named.is_none_or(|named| named == owner))),
        None => match named {
            Some(named) if accounts::lock(tx, named).await? => Ok(Some(named.to_owned())),
            _ => Ok(None),
        },
    }
}

/// A number that is rented and that nobody has: a person must look.
async fn of_nobody(mut tx: Fenced, webhook: &StoredWebhook) -> Result<Outcome, Failure> {
    let detail = json!({ "webhook_id": webhook.id });
    findings::open(&mut tx, OF_NOBODY, &webhook.endpoint, "", &detail).await?;
    webhooks::mark(&mut tx, webhook.id, "held").await?;
    tx.commit().await?;
    let why = "nobody we know has that number; it is kept, and a finding is open";
    Ok(Outcome::Skipped(why.into()))
}
