//! `tollkeeper billing preview`: what an account's running period comes to so far.

use clap::Args;
use serde::Serialize;
use sqlx::PgConnection;
use tollkeeper_jobs::{billing::upcoming::Line, money::major_text, plans::Catalogue};

use super::Program;
use crate::{billing, clock::Clock};

/// What the running period of an account comes to so far, by the function that bills it.
#[derive(Debug, Args)]
pub struct Preview {
    account: String,
}

#[derive(Serialize)]
struct Answer {
    account_id: String,
    starts_at: chrono::DateTime<chrono::Utc>,
    ends_at: chrono::DateTime<chrono::Utc>,
    tier: String,
    currency: String,
    lines: Vec<AnswerLine>,
    total_minor: i64,
}

#[derive(Serialize)]
struct AnswerLine {
    description: String,
    amount_minor: i64,
}

impl Preview {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let catalogue = Catalogue::of_settings(&program.settings.config.price_ids)
            .map_err(|faults| anyhow::anyhow!("{}", faults.join("; ")))?;
        let now = Clock::default().now();
        let running = billing::statement(conn, &catalogue, &self.account, now).await?;
        let line = |line: Line| AnswerLine {
            description: line.description,
            amount_minor: line.amount_minor,
        };
        let answer = Answer {
            account_id: self.account,
            starts_at: running.period.span.starts_at,
            ends_at: running.period.span.ends_at,
            tier: running.period.terms.tier,
            currency: running.statement.currency.clone(),
            lines: running.lines.into_iter().map(line).collect(),
            total_minor: running.statement.total_minor,
        };
        program.output.print(&answer, told);
        Ok(())
    }
}

fn told(answer: &Answer) -> String {
    let (from, to) = (answer.starts_at.format("%F"), answer.ends_at.format("%F"));
    let mut lines = vec![format!(
        "{}  {from} to {to}  {}",
        answer.account_id, answer.tier
    )];
    let amount = |minor| {
        format!(
            "{:>12} {}",
            major_text(minor, &answer.currency),
            answer.currency
        )
    };
    lines.extend(
        answer
            .lines
            .iter()
            .map(|line| format!("{}  {}", amount(line.amount_minor), line.description)),
    );
    lines.push(format!("{}  so far", amount(answer.total_minor)));
    lines.join("\n")
}
