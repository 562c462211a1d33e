//! `tollkeeper findings …`: what a person must look at, and that somebody has.

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{Database, Program, signed::Signed};
use crate::{
    billing::operate::is_about_parks,
    db::{
        billing::parks,
        findings::{self, Filter, Finding},
    },
    queue::operate::{By, record},
};

/// What a person must look at.
#[derive(Debug, Args)]
pub struct Findings {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The newest that are open.
    List {
        #[arg(long)]
        kind: Option<String>,
        #[arg(long)]
        account: Option<String>,
        /// Those that are closed, and why.
        #[arg(long)]
        closed: bool,
        #[arg(long, default_value_t = 50)]
        limit: i64,
        /// Only findings older than this one: the id of the last one seen.
        #[arg(long)]
        before: Option<Uuid>,
    },
    /// One finding with its detail.
    Show { id: Uuid },
    /// Accept a finding as it is; it is opened again when it changes, or happens anew.
    Close {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
}

impl Findings {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        Database::with(&program.settings.config, async |conn| {
            self.verb.run(&program, conn).await
        })
        .await
    }
}

impl Verb {
    async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let output = program.output;
        match self {
            Verb::List {
                kind,
                account,
                closed,
                limit,
                before,
            } => {
                let filter = Filter {
                    kind,
                    account_id: account,
                    is_closed: closed,
                };
                let found = findings::list(conn, &filter, before, limit).await?;
                output.print(&found, |found| list(found));
            }
            Verb::Show { id } => output.print(&load(conn, id).await?, told),
            Verb::Close { id, by } => {
                let finding = close(conn, id, by.by()).await?;
                let done = format!("{} of {} is accepted", finding.kind, finding.subject);
                output.print(&json!({ "done": done }), |_| done.clone());
            }
        }
        Ok(())
    }
}

async fn load(conn: &mut PgConnection, id: Uuid) -> anyhow::Result<Finding> {
    match findings::load(conn, id).await? {
        Some(finding) => Ok(finding),
        None => bail!("there is no finding {id}: `tollkeeper findings list` shows the ids"),
    }
}

async fn close(conn: &mut PgConnection, id: Uuid, by: By<'_>) -> anyhow::Result<Finding> {
    ensure!(
        !by.why.trim().is_empty(),
        "say why: --why \"…\"; it is kept with the finding"
    );
    let mut tx = conn.begin().await?;
    let finding = load(&mut tx, id).await?;
    let account_id = &finding.account_id;
    if let Some(why) = &finding.closed_why {
        bail!("finding {id} is closed already: {why}");
    }
    // Else the account would stay parked with nothing that says why.
    if is_about_parks(&finding.kind) && parks::of(&mut tx, account_id).await?.is_some() {
        bail!(
            "{account_id} is parked for it: `tollkeeper billing unpark {account_id} --why …` accepts it and bills it again"
        );
    }
    if !findings::accept_one(&mut tx, id, by.who, by.why).await? {
        bail!("finding {id} was closed just now");
    }
    let target = json!({
        "finding_id": id, "kind": finding.kind, "subject": finding.subject, "account_id": account_id,
    });
    record(&mut tx, "close_finding", by, None, target, 1).await?;
    tx.commit().await?;
    Ok(finding)
}

fn list(found: &[Finding]) -> String {
    if found.is_empty() {
        return "there are no findings".into();
    }
    let lines = found.iter().map(|finding| {
        let opened_at = finding.opened_at.format("%F %T");
        let closed = finding.closed_why.as_deref();
        format!(
            "{}  {opened_at}  {:24}  {:20}  {}{}",
            finding.id,
            finding.kind,
            of_whom(finding),
            finding.subject,
            closed.map_or_else(String::new, |why| format!("  closed: {why}"))
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn of_whom(finding: &Finding) -> &str {
    match finding.account_id.as_str() {
        "" => "-",
        account_id => account_id,
    }
}

fn told(finding: &Finding) -> String {
    let mut lines = vec![
        format!("{} of {}", finding.kind, finding.subject),
        format!("  account   {}", of_whom(finding)),
        format!("  opened    {}", finding.opened_at.format("%F %T")),
        format!("  detail    {}", finding.detail),
    ];
    if let (Some(at), Some(why)) = (finding.closed_at, &finding.closed_why) {
        lines.push(format!("  closed    {}  {why}", at.format("%F %T")));
    }
    lines.join("\n")
}
