//! `tollkeeper billing export ACCOUNT --period START`: a period's charges for a spreadsheet.

use anyhow::bail;
use chrono::NaiveDate;
use clap::Args;
use sqlx::PgConnection;
use tollkeeper_jobs::{billing::csv, usage::MicroUnits};

use super::{Output, Program};
use crate::db::billing::books::{self, Exported};

const PERIODS_MAX: i64 = 10_000;
const HEAD: [&str; 14] = [
    "charge_id",
    "meter",
    "subject",
    "revision",
    "quantity",
    "beyond",
    "amount_minor",
    "currency",
    "description",
    "waiver",
    "created_at",
    "invoice",
    "invoice_number",
    "item",
];

/// The charges of one period as CSV, with their lines and invoices.
#[derive(Debug, Args)]
pub struct Export {
    account: String,
    /// The day on which the period begins, in UTC: 2026-11-01.
    #[arg(long)]
    period: NaiveDate,
}

impl Export {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let periods = books::periods(conn, &self.account, PERIODS_MAX).await?;
        let begun = periods
            .iter()
            .filter(|period| period.starts_at.date_naive() == self.period);
        let begun: Vec<_> = begun.collect();
        if begun.is_empty() {
            bail!(
                "no period of {} begins on {}: `tollkeeper billing history` shows them",
                self.account,
                self.period
            );
        }
        let mut charges = Vec::new();
        for period in begun {
            charges.extend(books::export(conn, period.period_id).await?);
        }
        match program.output {
            Output::Text => println!("{}", table(&charges)),
            json => json.print(&charges, |charges| table(charges)),
        }
        Ok(())
    }
}

fn table(charges: &[Exported]) -> String {
    let mut rows = vec![csv::row(HEAD)];
    rows.extend(charges.iter().map(|charge| {
        let cells = [
            charge.charge_id.to_string(),
            charge.meter.clone(),
            charge.subject.clone(),
            charge.revision.to_string(),
            MicroUnits(charge.quantity).to_string(),
            MicroUnits(charge.beyond).to_string(),
            charge.amount_minor.to_string(),
            charge.currency.clone(),
            charge.description.clone(),
            charge.waiver.clone().unwrap_or_default(),
            charge.created_at.to_rfc3339(),
            charge.invoice_ref.clone().unwrap_or_default(),
            charge.invoice_number.clone().unwrap_or_default(),
            charge.item_ref.clone().unwrap_or_default(),
        ];
        csv::row(cells.iter().map(String::as_str))
    }));
    rows.join("\r\n")
}
