//! A number at work: somebody calls it and writes to it, what was used is counted, and what was said is written down.

use anyhow::{anyhow, bail};
use chrono::TimeDelta;
use secrecy::ExposeSecret;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    ReconcilePhoneLogs,
    telephony::{analysis, outbound::Channel},
    usage::Span,
};

use super::{story::Stage, words};
use crate::{
    clock::Clock,
    db::{
        self,
        billing::usage,
        phone_log::Page,
        recordings::{self, StoredRecording},
    },
    outbound::{self, Policy, Wish},
    queue,
    sealed::Place,
};

/// Who calls and writes.
const CALLER: &str = "+14155550199";
/// What Ann answers.
const ANSWER: &str = "Yes, until six. We come on Friday.";
/// What they say after the beep.
const SAID: &str =
    "Hello, my boiler is broken and leaks. Please send somebody on Friday. Is it expensive?";

impl Stage {
    /// Ann is called and written to; of one call Twilio never tells.
    pub(super) async fn calls_and_messages(
        &mut self,
        conn: &mut PgConnection,
    ) -> anyhow::Result<()> {
        let ann = 0;
        self.scene(
            ann,
            "is called and written to. Of her second call Twilio never tells us: its list has it.",
        );
        let Some(number) = self.number(conn, ann).await? else {
            bail!("Ann has no number");
        };
        let nobody = || anyhow!("nobody owns Ann's number");
        let (_, heard) = self
            .sandbox
            .ring(&number, CALLER, 125, SAID)
            .await
            .ok_or_else(nobody)?;
        self.say("caller hears", &words::spoken(&heard));
        let text = "Are you open today?";
        let (_, reply) = self
            .sandbox
            .write(&number, CALLER, text)
            .await
            .ok_or_else(nobody)?;
        self.say("sender reads", &words::spoken(&reply));
        self.sandbox
            .take_call(&number, CALLER, 60)
            .ok_or_else(nobody)?;
        let tick_at = self.ctx.clock.now();
        queue::enqueue(conn, &ReconcilePhoneLogs { tick_at }).await?;
        self.ctx.wake.ring();
        self.until(
            conn,
            "both calls and the message are counted",
            async |stage, conn| {
                let account_id = &stage.cast[ann].account_id;
                let minutes = counted(conn, account_id, "voice_minutes").await?;
                Ok(minutes == 4 && counted(conn, account_id, "sms").await? == 1)
            },
        )
        .await?;
        self.tell_good("✓ Ann used 4 minutes and 1 message: each counted once");
        self.what_was_said(conn, ann).await?;
        self.writes_back(conn, ann).await
    }

    /// Ann answers, and her app asks three times for it: it saw no answer the first two times.
    async fn writes_back(&mut self, conn: &mut PgConnection, who: usize) -> anyhow::Result<()> {
        self.scene(who, "writes back, and her app asks for it three times.");
        let wish = Wish {
            account_id: self.cast[who].account_id.clone(),
            channel: Channel::Message,
            from: None,
            to: CALLER
                .parse()
                .map_err(|error| anyhow!("{CALLER} is {error}"))?,
            body: ANSWER.to_owned(),
            is_recorded: false,
            metadata: None,
            key: None,
            asked_by: "the demo".to_owned(),
        };
        let policy = Policy::of(&self.ctx);
        for _ in 0..3 {
            let mut tx = db::begin(&self.ctx.pools.api).await?;
            outbound::ask(&mut tx, &policy, &wish).await??;
            tx.commit().await?;
        }
        self.ctx.wake.ring();
        let sent = |stage: &Stage| {
            let mut messages = stage.sandbox.phone_messages();
            messages.retain(|message| message.body == ANSWER);
            messages
        };
        self.until(conn, "the answer is sent", async |stage, _| {
            Ok(!sent(stage).is_empty())
        })
        .await?;
        for message in sent(self) {
            self.say("they read", &message.body);
            self.sandbox.deliver(&message.sid).await;
        }
        self.until(conn, "the answer is counted", async |stage, conn| {
            let account_id = &stage.cast[who].account_id;
            Ok(counted(conn, account_id, "sms").await? == 2)
        })
        .await?;
        if sent(self).len() != 1 {
            bail!("the answer was sent {} times", sent(self).len());
        }
        self.tell_good("✓ Twilio sent it once; Ann has used 2 messages");
        Ok(())
    }

    /// The call was recorded: it is written down, analysed, counted, and deleted at Twilio.
    async fn what_was_said(&mut self, conn: &mut PgConnection, who: usize) -> anyhow::Result<()> {
        self.until(
            conn,
            "the recording is written down",
            async |stage, conn| {
                let row = recording(conn, &stage.cast[who].account_id).await?;
                Ok(row.is_some_and(|row| row.analysis == "completed" && row.removed_at.is_some()))
            },
        )
        .await?;
        let account_id = self.cast[who].account_id.clone();
        let row = recording(conn, &account_id).await?;
        let row = row.ok_or_else(|| anyhow!("the recording is gone"))?;
        let open = |column, sealed: &Option<String>| {
            let place = Place::of_recording(column, &account_id, &row.recording_ref);
            let sealed = sealed.as_deref().unwrap_or_default();
            self.ctx.keyring.open(sealed, place)
        };
        let transcript = open("transcript_sealed", &row.transcript_sealed)?;
        let analysis = open("analysis_sealed", &row.analysis_sealed)?;
        let analysis = analysis::read(analysis.expose_secret());
        let analysis = analysis.map_err(|faults| anyhow!("no analysis: {}", faults.join("; ")))?;
        self.say("was said", transcript.expose_secret());
        let tasks = analysis.action_items.iter().map(|item| item.task.as_str());
        self.say("to be done", &tasks.collect::<Vec<_>>().join(" "));
        let count = counted(conn, &account_id, "transcriptions").await?;
        if count != 1 || !self.sandbox.recordings().is_empty() {
            bail!("{count} transcriptions are counted");
        }
        self.tell_good("✓ Ann reads what was said: counted once, sealed here, deleted at Twilio");
        Ok(())
    }
}

/// The account's only one.
async fn recording(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Option<StoredRecording>> {
    let only = Page {
        number: None,
        behind: None,
        limit: 1,
    };
    let found = recordings::list(conn, account_id, None, &only, 0).await?;
    Ok(found.into_iter().next())
}

/// What was used of a meter lately, in whole units.
async fn counted(conn: &mut PgConnection, account_id: &str, meter: &str) -> anyhow::Result<i64> {
    let now = Clock::default().now();
    let span = Span {
        starts_at: now - TimeDelta::days(1),
        ends_at: now + TimeDelta::days(1),
    };
    let used = usage::between(conn, account_id, span, &[meter]).await?;
    Ok(used
        .iter()
        .map(|(_, micro_units)| micro_units / 1_000_000)
        .sum())
}
