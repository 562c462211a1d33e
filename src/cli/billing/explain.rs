//! `tollkeeper billing explain LINE`: from a line on an invoice down to its calls and messages.

use anyhow::bail;
use clap::Args;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::Meter,
    money::{major_text, rate_text},
    plans::Quantity,
    usage::MicroUnits,
};

use super::{Program, Usage};
use crate::{
    billing::explain::{Explanation, explain},
    cli::jobs_text,
    clock::Clock,
    db::billing::explain::Use,
};

const USES_MAX: i64 = 20;

/// What a line on an invoice is made of, added up again; fail when it does not add up.
#[derive(Debug, Args)]
pub struct Explain {
    /// The line (ii_…), the charge's id, or an invoice (in_…) for all of its lines.
    line: String,
    /// Every use, not only the first 20.
    #[arg(long)]
    all: bool,
}

impl Explain {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        if self.line.starts_with("il_") {
            let why = "Stripe names a line twice: give its invoice item (ii_…), or the invoice (in_…) it is on";
            return Err(Usage(why.into()).into());
        }
        let uses_max = (!self.all).then_some(USES_MAX);
        let found = explain(conn, &self.line, uses_max, Clock::default().now()).await?;
        if found.is_empty() {
            bail!(
                "nothing that we charged is called {}: give a line (ii_…), a charge's id, or an invoice (in_…)",
                self.line
            );
        }
        program.output.print(&found, |found| {
            found.iter().map(text).collect::<Vec<_>>().join("\n\n")
        });
        let wrong = found.iter().filter(|one| !one.adds_up).count();
        if wrong > 0 {
            bail!("{wrong} charges do not add up");
        }
        Ok(())
    }
}

fn text(told: &Explanation) -> String {
    let charge = &told.charge;
    let money = |minor| {
        format!(
            "{} {}",
            major_text(minor, &charge.currency),
            charge.currency
        )
    };
    let mut lines = vec![format!(
        "{}: {}",
        charge.description,
        money(charge.amount_minor)
    )];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:9} {value}"));
    line("account", charge.account_id.clone());
    line(
        "charge",
        format!("{}, revision {}", charge.charge_id, charge.revision),
    );
    if let Some(waiver) = &charge.waiver {
        line("waived", waiver.clone());
    }
    let item = charge.item_ref.as_deref().unwrap_or("no line yet");
    line(
        "invoice",
        match &told.invoice {
            Some(invoice) => format!(
                "{} {} ({}), {item}",
                invoice.stripe_ref.as_deref().unwrap_or("not made yet"),
                invoice.number.as_deref().unwrap_or_default(),
                invoice.status
            ),
            None => "none".to_owned(),
        },
    );
    let period = &told.period;
    let bounds = (
        period.starts_at.format("%F %T"),
        period.ends_at.format("%F %T"),
    );
    line(
        "period",
        format!("{} - {}, {}", bounds.0, bounds.1, period.tier),
    );
    match (&told.meter, told.number_fee_minor) {
        (Some(meter), _) => line("terms", terms(meter)),
        (None, fee) => line(
            "terms",
            format!("{} a number", money(fee.unwrap_or_default())),
        ),
    }
    for part in &told.parts {
        let verdict = if part.holds { "=" } else { "NOT SO:" };
        line(verdict, part.says.clone());
    }
    for one in &told.listed {
        let at = one.occurred_at.format("%F %T");
        let quantity = MicroUnits(one.quantity);
        let between = between(one).unwrap_or_default();
        line(
            "use",
            format!(
                "{at}  {quantity:>10}  {} {}{between}",
                one.source, one.source_id
            ),
        );
    }
    if let Some(uses) = &told.uses
        && uses.events > told.listed.len() as i64
    {
        let more = uses.events - told.listed.len() as i64;
        line("", format!("and {more} more: --all shows them"));
    }
    for webhook in &told.webhooks {
        let at = webhook.received_at.format("%F %T");
        line(
            "webhook",
            format!("{at}  {}  {}", webhook.kind, webhook.event_key),
        );
    }
    if !told.jobs.is_empty() {
        lines.push(jobs_text::list(&told.jobs));
    }
    lines.join("\n")
}

/// Who called or wrote to whom, and for how long.
fn between(one: &Use) -> Option<String> {
    let from = one.from_number.as_deref()?;
    let to = one.to_number.as_deref().unwrap_or("unknown");
    let lasted = one.seconds.map(|seconds| format!(", {seconds} s"));
    Some(format!("  {from} -> {to}{}", lasted.unwrap_or_default()))
}

fn terms(meter: &Meter) -> String {
    let included = match meter.included {
        Quantity::Unlimited => "everything".to_owned(),
        Quantity::Units(units) => units.to_string(),
    };
    let rates = meter.rates.iter().map(|step| {
        let rate = rate_text(step.rate);
        match step.up_to {
            Some(up_to) => format!("{rate} up to {up_to} beyond"),
            None => format!("{rate} beyond"),
        }
    });
    let rates: Vec<String> = rates.collect();
    format!("{included} included; {}", rates.join(", "))
}
