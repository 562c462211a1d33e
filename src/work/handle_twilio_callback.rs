//! Write down what a callback says of a call or a message; see the promise in `jobs/handle_twilio_callback.rs`.

use chrono::{DateTime, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    HandleTwilioCallback,
    handle_twilio_callback::{Plan, decide},
    telephony::{
        calls::{self, Call},
        messages::{self, Message, Wish},
    },
    usage::MicroUnits,
};

use super::Work;
use crate::{
    context::Context,
    db::{
        self, accounts, findings, phone_numbers, subaccounts,
        webhooks::{self, StoredWebhook},
    },
    queue::{Failure, Fenced, Lease, Outcome},
    usage::{self, How, Key, Request, Rules},
};

/// The source of what Twilio's own callbacks say was used.
pub const SOURCE: &str = "twilio";
/// The finding about callbacks for a number that nobody has; its subject is the provider's account.
const OF_NOBODY: &str = "callback_of_nobody";
const MINUTES: &str = "voice_minutes";
const MESSAGES: &str = "sms";

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
            received_at: webhook.received_at,
        };
        match plan {
            Plan::Call(said) => told.of_call(&mut tx, &said).await?,
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

/// What was told of an account, which is locked.
struct Told<'a> {
    ctx: &'a Context,
    account_id: &'a str,
    received_at: DateTime<Utc>,
}

impl Told<'_> {
    async fn of_call(&self, tx: &mut PgConnection, said: &calls::Report) -> sqlx::Result<()> {
        let known = db::calls::lock(tx, self.account_id, &said.call_ref).await?;
        let call = calls::learn(known.map(Call::from), said, self.received_at);
        let now = self.ctx.clock.now();
        db::calls::store(tx, self.account_id, &said.call_ref, &call, now).await?;
        match calls::minutes(&call) {
            Some(minutes) => {
                let at = call.ended_at.unwrap_or(self.received_at);
                self.meter(tx, MINUTES, &said.call_ref, minutes, at).await
            }
            None => Ok(()),
        }
    }

    async fn of_message(
        &self,
        tx: &mut PgConnection,
        said: &messages::Report,
        wish: Option<Wish>,
    ) -> sqlx::Result<()> {
        let known = db::messages::lock(tx, self.account_id, &said.message_ref).await?;
        let message = messages::learn(known.map(Message::from), said, self.received_at);
        let now = self.ctx.clock.now();
        db::messages::store(tx, self.account_id, &said.message_ref, &message, now).await?;
        let is_out = match wish {
            Some(Wish::Stop) => Some(true),
            Some(Wish::Start) => Some(false),
            Some(Wish::Help) | None => None,
        };
        if let (Some(is_out), Some(ours), Some(theirs)) = (is_out, &said.to, &said.from) {
            let said_at = self.received_at;
            db::messages::said(tx, self.account_id, ours, theirs, is_out, said_at).await?;
        }
        match messages::billed(&message) {
            Some(segments) => {
                let at = message.began_at;
                self.meter(tx, MESSAGES, &said.message_ref, segments, at)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Count it under the provider's own id: whoever tells of it again is a copy.
    async fn meter(
        &self,
        tx: &mut PgConnection,
        feature: &str,
        source_id: &str,
        quantity: MicroUnits,
        occurred_at: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let request = Request {
            account_id: self.account_id.to_owned(),
            feature: feature.to_owned(),
            quantity,
            how: How::Track,
            source: SOURCE,
            key: Some(Key {
                source_id: source_id.to_owned(),
                is_per_feature: true,
                // Not of the quantity: what was told first of a call that is over is what it was.
                request_sha256: Sha256::digest(source_id).into(),
            }),
            occurred_at: Some(occurred_at),
            window: None,
            app_name: None,
            metadata: None,
        };
        // A copy is answered as the first was, and that is all it is.
        usage::carry_out(tx, &Rules::of(self.ctx), &[&request]).await?;
        Ok(())
    }
}
