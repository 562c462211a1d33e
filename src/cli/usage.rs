//! `tollkeeper usage …`: what was used, counted again.

use anyhow::bail;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tollkeeper_jobs::{recount_usage::since, usage::MicroUnits};

use super::{Database, Program, signed::Signed};
use crate::{
    clock::Clock,
    db::usage::recount::{self, Counter, Difference},
    queue::operate,
    usage,
};

/// Most differences shown, and set right, at a time.
const SHOWN_MAX: i64 = 1000;

/// What was used.
#[derive(Debug, Args)]
pub struct Usage {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add the events up again, and set counters right that differ.
    Recount {
        /// Change nothing; fail when a counter differs.
        #[arg(long)]
        check: bool,
        /// Of one account.
        #[arg(long)]
        account: Option<String>,
        /// From this day on (2026-11-01); the last 35 days when left out.
        #[arg(long)]
        since: Option<NaiveDate>,
        #[command(flatten)]
        by: Signed,
    },
}

impl Usage {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        Database::with(&program.settings.config, async |conn| {
            self.verb.run(&program, conn).await
        })
        .await
    }
}

impl Verb {
    async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let Verb::Recount {
            check,
            account,
            since: day,
            by,
        } = self;
        let now = Clock::default().now();
        let from = day.map_or(since(now), |day| day.and_time(NaiveTime::MIN).and_utc());
        let found = recount::differences(conn, from, account.as_deref(), SHOWN_MAX).await?;
        if !check && !found.is_empty() {
            let counters: Vec<Counter> = found.iter().map(Counter::from).collect();
            let mut tx = conn.begin().await?;
            let corrected = usage::correct_counters(&mut tx, &counters, None).await?;
            let target = json!({ "since": from, "account_id": account });
            let affected = corrected.len() as i64;
            operate::record(&mut tx, "usage_recount", by.by(), None, target, affected).await?;
            tx.commit().await?;
        }
        let answer = json!({ "since": from, "differences": found, "corrected": !check });
        program.output.print(&answer, |_| told(&found, from, check));
        if check && !found.is_empty() {
            bail!(
                "{} counters are not what their events add up to",
                found.len()
            );
        }
        Ok(())
    }
}

fn told(found: &[Difference], from: DateTime<Utc>, is_check: bool) -> String {
    if found.is_empty() {
        let from = from.format("%F %T");
        return format!("every counter since {from} UTC is what its events add up to");
    }
    let line = |one: &Difference| {
        format!(
            "{}  {:16}  {:5}  {}  counter {}, events {}",
            one.account_id,
            one.feature,
            one.per,
            one.starts_at.format("%F %T"),
            MicroUnits(one.kept),
            MicroUnits(one.counted)
        )
    };
    let mut lines: Vec<String> = found.iter().map(line).collect();
    if !is_check {
        lines.push(format!("{} counters are set right", found.len()));
    }
    lines.join("\n")
}
