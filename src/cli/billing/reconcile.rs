//! `tollkeeper billing reconcile`: our books and Stripe's, compared now.

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tollkeeper_jobs::{reconcile_account::Drifted, reconcile_invoices::since};

use super::{super::Database, Program, Signed, Usage, progress::Progress};
use crate::{
    clients::{ClientError, stripe::Stripe},
    clock::Clock,
    context,
    db::{accounts, billing::reconcile},
    queue::operate::{By, record},
    work::reconciliation::{self, Reconciled},
};

/// An account whose books are just being written is looked at so often.
const TRIES: usize = 3;
const BATCH_MAX: i64 = 500;

/// Compare invoices with Stripe both ways, as the timetable does every six hours; fail when they differ.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Of one account; else of everybody who was invoiced in the last 70 days.
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    by: Signed,
}

#[derive(Default, Serialize)]
struct Answer {
    accounts: usize,
    drifted: Vec<Of>,
    /// Invoices that our workers bring up to date or repair now.
    asked: usize,
    findings_closed: u64,
    /// Accounts that changed whenever they were looked at.
    busy: Vec<String>,
}

#[derive(Serialize)]
struct Of {
    account_id: String,
    #[serde(flatten)]
    drifted: Drifted,
}

impl Reconcile {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        if program.settings.is_sandbox {
            let why = "the sandbox's Stripe is a part of `tollkeeper up`, whose timetable compares with it";
            return Err(Usage(why.into()).into());
        }
        program.settings.require_providers()?;
        let config = &program.settings.config;
        let database = Database::open(config).await?;
        let stripe = context::stripe(config, &database.pools(&config.pools));
        let accounts = match &self.account {
            Some(account_id) => vec![known(conn, account_id).await?],
            None => everybody(conn).await?,
        };
        let mut answer = Answer {
            accounts: accounts.len(),
            ..Answer::default()
        };
        let mut progress = Progress::of(accounts.len());
        for account_id in accounts {
            match compared(conn, &stripe, &account_id, self.by.by()).await? {
                Some(found) => answer.add(&account_id, found),
                None => answer.busy.push(account_id.clone()),
            }
            progress.step(&account_id);
        }
        drop(progress);
        program.output.print(&answer, told);
        if !answer.drifted.is_empty() {
            bail!(
                "{} invoices are not at Stripe as they are here",
                answer.drifted.len()
            );
        }
        Ok(())
    }
}

impl Answer {
    fn add(&mut self, account_id: &str, found: Reconciled) {
        self.asked += found.asked;
        self.findings_closed += found.closed;
        self.drifted
            .extend(found.drifted.into_iter().map(|drifted| Of {
                account_id: account_id.to_owned(),
                drifted,
            }));
    }
}

async fn known(conn: &mut PgConnection, account_id: &str) -> anyhow::Result<String> {
    let mut tx = conn.begin().await?;
    if !accounts::lock(&mut tx, account_id).await? {
        bail!("there is no account {account_id}");
    }
    Ok(account_id.to_owned())
}

async fn everybody(conn: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let since = since(Clock::default().now());
    let mut all: Vec<String> = Vec::new();
    loop {
        let after = all.last().cloned().unwrap_or_default();
        let mut more = reconcile::accounts(conn, since, &after, BATCH_MAX).await?;
        if more.is_empty() {
            return Ok(all);
        }
        all.append(&mut more);
    }
}

/// None: its books changed whenever it was looked at.
async fn compared(
    conn: &mut PgConnection,
    stripe: &Stripe,
    account_id: &str,
    by: By<'_>,
) -> anyhow::Result<Option<Reconciled>> {
    let mut tries = 0;
    while tries < TRIES {
        let now = Clock::default().now();
        let books = reconciliation::books(conn, account_id, now).await?;
        let said = match reconciliation::ask(stripe, &books).await {
            // The workers ask as well.
            Err(ClientError::Crowded { after, .. }) => {
                tokio::time::sleep(after).await;
                continue;
            }
            said => said?,
        };
        tries += 1;
        let mut tx = conn.begin().await?;
        let found = reconciliation::settle(&mut tx, account_id, &books, said, now).await?;
        if let Some(found) = found {
            let target = json!({
                "account_id": account_id, "drifted": found.drifted.len(), "asked": found.asked,
                "findings_closed": found.closed,
            });
            record(&mut tx, "billing_reconcile", by, None, target, 1).await?;
            tx.commit().await?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn told(answer: &Answer) -> String {
    let mut lines = Vec::new();
    for Of {
        account_id,
        drifted,
    } in &answer.drifted
    {
        lines.push(format!(
            "{account_id}  {}: {} here, {} there (minor units)",
            drifted.subject, drifted.ours_minor, drifted.theirs_minor
        ));
        let differences = drifted.differences.iter();
        lines.extend(differences.map(|one| format!("    {}", json!(one))));
    }
    lines.extend(
        answer
            .busy
            .iter()
            .map(|account_id| format!("{account_id}  is just being billed: look again")),
    );
    lines.push(format!(
        "{} accounts compared, {} invoices differ, {} are asked for, {} findings closed",
        answer.accounts,
        answer.drifted.len(),
        answer.asked,
        answer.findings_closed
    ));
    lines.join("\n")
}
