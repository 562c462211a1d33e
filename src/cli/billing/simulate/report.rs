//! What came of a simulated year.

use anyhow::bail;
use serde::Serialize;

use super::judge::Judged;
use crate::billing::check::Broken;

#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub accounts: usize,
    pub days: u32,
    /// In real time.
    pub seconds: f64,
    pub uses_reported: usize,
    /// That Stripe sent, and calls that Stripe and Twilio took.
    pub events: usize,
    pub calls: usize,
    #[serde(flatten)]
    pub judged: Judged,
    /// What was not right, and at the end of which day.
    pub broken: Vec<(String, Broken)>,
}

impl Report {
    /// An error says what is wrong.
    pub fn verdict(&self) -> anyhow::Result<()> {
        let judged = &self.judged;
        let wrong = self.broken.len() + judged.differences.len() + judged.undone.len();
        if wrong > 0 {
            bail!(
                "{wrong} things are wrong; see them again with --seed {}",
                self.seed
            );
        }
        Ok(())
    }
}

pub fn told(report: &Report) -> String {
    let judged = &report.judged;
    let dollars = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
    let mut lines = vec![
        format!(
            "{} days of {} customers in {:.1} s (--seed {})",
            report.days, report.accounts, report.seconds, report.seed
        ),
        format!(
            "{} uses reported, {} events from Stripe, {} calls to the providers",
            report.uses_reported, report.events, report.calls
        ),
        format!(
            "{} invoices; usage on them {} USD, paid in all {} USD; {} USD for the next ones; {} accounts parked",
            judged.invoices,
            dollars(judged.usage_minor),
            dollars(judged.paid_minor),
            dollars(judged.owed_minor),
            judged.parked
        ),
    ];
    lines.extend(report.broken.iter().map(|(day, one)| {
        let offence = &one.offence;
        format!(
            "✗ {day}: {} {}: {} {}",
            one.invariant, one.says, offence.subject, offence.what
        )
    }));
    let wrong = judged.differences.iter().chain(&judged.undone);
    lines.extend(wrong.map(|line| format!("✗ {line}")));
    lines.extend(judged.left.iter().map(|line| format!("· {line}")));
    if report.verdict().is_ok() {
        lines.push(format!(
            "✓ The invariants held at the end of every day, and the books of {} accounts are Stripe's to the cent.",
            report.accounts
        ));
    }
    lines.join("\n")
}
