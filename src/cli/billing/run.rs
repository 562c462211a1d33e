//! `tollkeeper billing run`: close what is over, or see first what that would charge.

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use sqlx::PgConnection;
use tollkeeper_jobs::{money::major_text, plans::Catalogue};
use uuid::Uuid;

use super::{Program, Signed, progress::Progress};
use crate::{
    billing::{
        Rules,
        run::{self, BATCH_MAX, Order, Planned, Run},
    },
    clock::Clock,
    db::billing::plans,
};

/// Close the billing periods that are over, as the timetable does every five minutes.
#[derive(Debug, Args)]
pub struct BillingRun {
    /// Say what would be charged, store nothing but that plan, and print its id.
    #[arg(long, conflicts_with = "plan")]
    dry_run: bool,
    /// Carry out a plan; periods that are no longer as they were planned are left alone.
    #[arg(long)]
    plan: Option<Uuid>,
    /// Of one account.
    #[arg(long, conflicts_with = "plan")]
    account: Option<String>,
    #[command(flatten)]
    by: Signed,
}

#[derive(Serialize)]
struct Answer<'a> {
    plan_id: Option<Uuid>,
    sha256: String,
    is_dry: bool,
    #[serde(flatten)]
    run: &'a Run,
}

impl BillingRun {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let now = Clock::default().now();
        let config = &program.settings.config;
        let catalogue = Catalogue::of_settings(&config.price_ids).map_err(faults)?;
        let rules = Rules::of_config(config, &catalogue);
        let (run, plan_id) = match self.plan {
            Some(plan_id) => (self.planned(conn, rules, plan_id).await?, Some(plan_id)),
            None => {
                let due = run::due(conn, rules, self.account.as_deref(), now).await?;
                match self.dry_run {
                    true => {
                        let dry = async |batch: &[Uuid]| run::dry(conn, rules, batch, now).await;
                        let run = in_batches(&due, dry).await?;
                        let plan_id = run::keep(conn, &run, self.by.by().who, now).await?;
                        (run, Some(plan_id))
                    }
                    false => (self.carried_out(conn, rules, &due, None, now).await?, None),
                }
            }
        };
        let answer = Answer {
            plan_id,
            sha256: run.sha256(),
            is_dry: self.dry_run,
            run: &run,
        };
        program.output.print(&answer, told);
        if !run.moved.is_empty() {
            bail!(
                "{} periods are no longer as they were planned: nothing was done about them; make a new plan",
                run.moved.len()
            );
        }
        Ok(())
    }

    async fn planned(
        &self,
        conn: &mut PgConnection,
        rules: Rules<'_>,
        plan_id: Uuid,
    ) -> anyhow::Result<Run> {
        let now = Clock::default().now();
        let Some(plan) = plans::load(conn, plan_id).await? else {
            bail!("there is no plan {plan_id}: `tollkeeper billing run --dry-run` makes one");
        };
        if let Some(at) = plan.carried_out_at {
            bail!("the plan {plan_id} was carried out at {at}");
        }
        let planned: Vec<Planned> =
            serde_json::from_value(plan.planned).context("the stored plan")?;
        let due: Vec<Uuid> = planned.iter().map(|one| one.period_id).collect();
        let plan = Some((plan_id, &*planned));
        let run = self.carried_out(conn, rules, &due, plan, now).await?;
        plans::carried_out(conn, plan_id, now).await?;
        Ok(run)
    }

    async fn carried_out(
        &self,
        conn: &mut PgConnection,
        rules: Rules<'_>,
        due: &[Uuid],
        plan: Option<(Uuid, &[Planned])>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Run> {
        let by = self.by.by();
        let order = Order { by, plan };
        let closing = async |batch: &[Uuid]| run::carry_out(conn, rules, batch, order, now).await;
        in_batches(due, closing).await
    }
}

/// Batch by batch, with a bar for who waits.
async fn in_batches(
    due: &[Uuid],
    mut one: impl AsyncFnMut(&[Uuid]) -> sqlx::Result<Run>,
) -> anyhow::Result<Run> {
    let mut run = Run::default();
    let mut progress = Progress::of(due.len().div_ceil(BATCH_MAX));
    for batch in due.chunks(BATCH_MAX) {
        run.append(one(batch).await?);
        progress.step("batches of periods");
    }
    Ok(run)
}

fn faults(faults: Vec<String>) -> anyhow::Error {
    anyhow::anyhow!("{}", faults.join("; "))
}

fn told(answer: &Answer<'_>) -> String {
    let run = answer.run;
    let mut lines = Vec::new();
    for one in &run.planned {
        let (from, to) = (one.starts_at.format("%F"), one.ends_at.format("%F"));
        lines.push(format!("{}  {from} to {to}", one.account_id));
        lines.extend(one.charges.iter().map(|charge| {
            let amount = major_text(charge.amount_minor, &charge.currency);
            let waived = charge
                .waiver
                .as_ref()
                .map(|why| format!(" (waived: {why})"));
            format!(
                "{amount:>12} {}  {}{}",
                charge.currency,
                charge.description,
                waived.unwrap_or_default()
            )
        }));
    }
    let what = if answer.is_dry {
        "would be closed"
    } else {
        "are closed"
    };
    lines.push(format!(
        "{} periods {what}, {} wait for Stripe, {} moved",
        run.planned.len(),
        run.asking.len(),
        run.moved.len()
    ));
    if let (Some(plan_id), true) = (answer.plan_id, answer.is_dry) {
        lines.push(format!(
            "carry it out: tollkeeper billing run --plan {plan_id}"
        ));
    }
    lines.join("\n")
}
