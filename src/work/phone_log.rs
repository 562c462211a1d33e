//! What becomes of something told of a call, a message or a recording, by a callback or by the provider's list: it is
//! learnt, and metered under the provider's own id, whoever tells it first.

use chrono::{DateTime, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    FetchRecording,
    telephony::{
        calls::{self, Call},
        messages::{self, Message, Wish},
        recordings::{self, Recording},
    },
    usage::MicroUnits,
};

use crate::{
    context::Context,
    db::{
        self, findings,
        webhooks::{self, Provider, StoredWebhook},
    },
    outbound::{self, Policy},
    queue::{self, Failure, Fenced, Outcome},
    usage::{self, How, Key, Request, Rules},
};

/// The finding about callbacks for a number that nobody has; its subject is the provider's account.
const OF_NOBODY: &str = "callback_of_nobody";
const MINUTES: &str = "voice_minutes";
const MESSAGES: &str = "sms";
const TRANSCRIPTIONS: &str = "transcriptions";

/// What was told of an account, which is locked.
pub struct Told<'a> {
    pub ctx: &'a Context,
    pub account_id: &'a str,
    /// Whose ids they are; it is the source of what is metered.
    pub provider: Provider,
    pub told_at: DateTime<Utc>,
}

impl Told<'_> {
    /// Learn this of a call, and count its minutes once it is over. Answers what is known of it now.
    pub async fn of_call(&self, tx: &mut PgConnection, said: &calls::Report) -> sqlx::Result<Call> {
        let known = db::calls::lock(tx, self.account_id, &said.call_ref).await?;
        let call = calls::learn(known.map(Call::from), said, self.told_at);
        let now = self.ctx.clock.now();
        db::calls::store(tx, self.account_id, &said.call_ref, &call, now).await?;
        let minutes = calls::minutes(&call);
        if let Some(minutes) = minutes {
            let at = call.ended_at.unwrap_or(self.told_at);
            self.meter(tx, MINUTES, &said.call_ref, minutes, at).await?;
        }
        if calls::is_settled(&call) {
            self.settle(tx, &said.call_ref, minutes.unwrap_or_default())
                .await?;
        }
        Ok(call)
    }

    /// Learn this of a message, count its segments, and heed what its sender wishes.
    pub async fn of_message(
        &self,
        tx: &mut PgConnection,
        said: &messages::Report,
        wish: Option<Wish>,
    ) -> sqlx::Result<()> {
        let known = db::messages::lock(tx, self.account_id, &said.message_ref).await?;
        let message = messages::learn(known.map(Message::from), said, self.told_at);
        let now = self.ctx.clock.now();
        let (account_id, provider) = (self.account_id, self.provider.as_str());
        db::messages::store(tx, account_id, provider, &said.message_ref, &message, now).await?;
        let is_out = match wish {
            Some(Wish::Stop) => Some(true),
            Some(Wish::Start) => Some(false),
            Some(Wish::Help) | None => None,
        };
        if let (Some(is_out), Some(ours), Some(theirs)) = (is_out, &said.to, &said.from) {
            // When it was written, not when it was told: a list says it again for ever.
            let said_at = message.began_at;
            db::messages::said(tx, self.account_id, ours, theirs, is_out, said_at).await?;
        }
        let segments = messages::billed(&message);
        if let Some(segments) = segments {
            let at = message.began_at;
            self.meter(tx, MESSAGES, &said.message_ref, segments, at)
                .await?;
        }
        if segments.is_some() || message.status.is_never_sent() {
            self.settle(tx, &said.message_ref, segments.unwrap_or_default())
                .await?;
        }
        Ok(())
    }

    /// What was set aside for it, if an app asked for it, comes back.
    async fn settle(
        &self,
        tx: &mut PgConnection,
        ext_ref: &str,
        took: MicroUnits,
    ) -> sqlx::Result<()> {
        let policy = Policy::of(self.ctx);
        outbound::settle(tx, &policy, self.account_id, ext_ref, took.whole()).await
    }

    /// Learn this of a recording that lies in this account of the provider's, and have it fetched once it is over.
    pub async fn of_recording(
        &self,
        tx: &mut PgConnection,
        said: &recordings::Report,
        held_by_ref: &str,
    ) -> sqlx::Result<()> {
        let (account_id, recording_ref) = (self.account_id, &said.recording_ref);
        let row = db::recordings::lock(tx, account_id, recording_ref).await?;
        let known = row.as_ref().map(Recording::from);
        let recording = recordings::learn(known.clone(), said, self.told_at);
        if known.as_ref() == Some(&recording) {
            return Ok(());
        }
        let now = self.ctx.clock.now();
        db::recordings::store(tx, account_id, recording_ref, held_by_ref, &recording, now).await?;
        let is_open = row.is_none_or(|row| row.is_open());
        if recording.status.is_final() && is_open {
            let job = FetchRecording {
                account_id: account_id.to_owned(),
                recording_ref: recording_ref.clone(),
            };
            queue::enqueue(tx, &job).await?;
        }
        Ok(())
    }

    /// Count a recording that was transcribed.
    pub async fn of_transcription(
        &self,
        tx: &mut PgConnection,
        recording_ref: &str,
    ) -> sqlx::Result<()> {
        let one = MicroUnits::of_units(1);
        self.meter(tx, TRANSCRIPTIONS, recording_ref, one, self.told_at)
            .await
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
            source: self.provider.as_str(),
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

/// A number that is rented and that nobody has: a person must look.
pub async fn of_nobody(mut tx: Fenced, webhook: &StoredWebhook) -> Result<Outcome, Failure> {
    let detail = json!({ "webhook_id": webhook.id });
    findings::open(&mut tx, OF_NOBODY, &webhook.endpoint, "", &detail).await?;
    webhooks::mark(&mut tx, webhook.id, "held").await?;
    tx.commit().await?;
    let why = "nobody we know has that number; it is kept, and a finding is open";
    Ok(Outcome::Skipped(why.into()))
}
