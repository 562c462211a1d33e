//! A number at work: somebody calls it and writes to it, and what was used is counted.

use anyhow::{anyhow, bail};
use chrono::TimeDelta;
use sqlx::PgConnection;
use tollkeeper_jobs::{ReconcilePhoneLogs, usage::Span};

use super::{story::Stage, words};
use crate::{clock::Clock, db::billing::usage, queue};

/// Who calls and writes.
const CALLER: &str = "+14155550199";

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
            .ring(&number, CALLER, 125)
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
        Ok(())
    }
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
