//! `tollkeeper billing history ACCOUNT`: its periods and its invoices.

use anyhow::bail;
use clap::Args;
use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::money::major_text;

use super::Program;
use crate::db::billing::books::{self, Invoice, Period};

/// An account's periods with what they came to, and its invoices, the newest first.
#[derive(Debug, Args)]
pub struct History {
    account: String,
    #[arg(long, default_value_t = 24)]
    limit: i64,
}

impl History {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let periods = books::periods(conn, &self.account, self.limit).await?;
        let invoices = books::invoices(conn, &self.account, self.limit).await?;
        if periods.is_empty() && invoices.is_empty() {
            bail!("{} has neither periods nor invoices", self.account);
        }
        let answer =
            json!({ "account_id": self.account, "periods": periods, "invoices": invoices });
        program
            .output
            .print(&answer, |_| table(&periods, &invoices));
        Ok(())
    }
}

fn table(periods: &[Period], invoices: &[Invoice]) -> String {
    let mut lines = vec![format!(
        "{:19}  {:19}  {:16}  {:>10}  {:>10}  {:>10}  STATE",
        "FROM", "UNTIL", "TIER", "RATED", "OWED", "INVOICED"
    )];
    lines.extend(periods.iter().map(|period| {
        let state = match (&period.waiver, period.closed_at) {
            (Some(waiver), _) => format!("waived: {waiver}"),
            (None, Some(closed_at)) => format!("closed {}", closed_at.format("%F %T")),
            (None, None) => "open".to_owned(),
        };
        format!(
            "{}  {}  {:16}  {:>10}  {:>10}  {:>10}  {state}",
            period.starts_at.format("%F %T"),
            period.ends_at.format("%F %T"),
            period.tier,
            period.rated_minor,
            period.owed_minor,
            period.invoiced_minor
        )
    }));
    lines.push(String::new());
    lines.push(format!(
        "{:32}  {:16}  {:13}  {:>12}  {:>12}  {:>12}  MADE",
        "INVOICE", "NUMBER", "STATUS", "TOTAL", "PAID", "USAGE"
    ));
    lines.extend(invoices.iter().map(|invoice| {
        let money = |minor| major_text(minor, &invoice.currency);
        format!(
            "{:32}  {:16}  {:13}  {:>12}  {:>12}  {:>12}  {}",
            invoice.stripe_ref.as_deref().unwrap_or("not made yet"),
            invoice.number.as_deref().unwrap_or_default(),
            invoice.status,
            money(invoice.total_minor),
            money(invoice.paid_minor),
            money(invoice.usage_minor),
            invoice.created_at.format("%F %T")
        )
    }));
    lines.push("Periods are in minor units, invoices in their currency.".into());
    lines.join("\n")
}
