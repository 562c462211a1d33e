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
mod simulate;

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
    #[command(flatten)]
    OfBooks(OfBooks),
    Simulate(simulate::Simulate),
}

/// What is asked of the books, or done to them.
#[derive(Debug, Subcommand)]
enum OfBooks {
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
    /// Whether it needs nothing that is there, and must not touch it.
    pub fn is_simulation(&self) -> bool {
        matches!(self.verb, Verb::Simulate(_))
    }

    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        match self.verb {
            Verb::Simulate(verb) => verb.run(program).await,
            Verb::OfBooks(verb) => {
                let verb = async |conn: &mut PgConnection| verb.run(&program, conn).await;
                Database::with(&program.settings.config, verb).await
            }
        }
    }
}

impl OfBooks {
    async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        match self {
            OfBooks::Preview(verb) => verb.run(program, conn).await,
            OfBooks::Run(verb) => verb.run(program, conn).await,
            OfBooks::Explain(verb) => verb.run(program, conn).await,
            OfBooks::History(verb) => verb.run(program, conn).await,
            OfBooks::Export(verb) => verb.run(program, conn).await,
            OfBooks::Check(verb) => verb.run(program, conn).await,
            OfBooks::Reconcile(verb) => verb.run(program, conn).await,
            OfBooks::Park(verb) => verb.run(program, conn).await,
            OfBooks::Unpark(verb) => verb.run(program, conn).await,
            OfBooks::Parked(verb) => verb.run(program, conn).await,
        }
    }
}
