//! `tollkeeper billing …`: what is billed and why, whether the books are right, and who is not billed for now.

mod check;
mod explain;
mod export;
mod history;
mod park;
mod preview;
mod progress;
mod reconcile;
mod run;

use clap::{Args, Subcommand};
use sqlx::PgConnection;

use super::{Database, Output, Program, Usage, signed::Signed};

/// What is billed, and whether the books are right.
#[derive(Debug, Args)]
pub struct Billing {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Preview(preview::Preview),
    Run(run::BillingRun),
    Explain(explain::Explain),
    History(history::History),
    Export(export::Export),
    Check(check::Check),
    Reconcile(reconcile::Reconcile),
    Park(park::Park),
    Unpark(park::Unpark),
    Parked(park::Parked),
}

impl Billing {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        Database::with(&program.settings.config, async |conn| {
            self.verb.run(&program, conn).await
        })
        .await
    }
}

impl Verb {
    async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        match self {
            Verb::Preview(verb) => verb.run(program, conn).await,
            Verb::Run(verb) => verb.run(program, conn).await,
            Verb::Explain(verb) => verb.run(program, conn).await,
            Verb::History(verb) => verb.run(program, conn).await,
            Verb::Export(verb) => verb.run(program, conn).await,
            Verb::Check(verb) => verb.run(program, conn).await,
            Verb::Reconcile(verb) => verb.run(program, conn).await,
            Verb::Park(verb) => verb.run(program, conn).await,
            Verb::Unpark(verb) => verb.run(program, conn).await,
            Verb::Parked(verb) => verb.run(program, conn).await,
        }
    }
}
