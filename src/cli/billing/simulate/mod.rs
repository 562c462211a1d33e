//! `tollkeeper billing simulate`: the whole service beside the stand-ins of its providers, its clock moved, and a year
//! of customers. In the end their books and ours say the same.

mod judge;
mod people;
mod report;
mod year;

use clap::Args;

use self::{people::People, year::Year};
use super::super::{Database, Program, rehearsal::Rehearsal, roles::Roles};
use crate::clock::Clock;

const SLOTS: usize = 16;

/// Let a year of billing pass in minutes, in a database of its own; fail when a cent is wrong.
#[derive(Debug, Args)]
pub struct Simulate {
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    accounts: u32,
    /// Each of 30 days.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
    /// The same seed: the same customers, doing the same on the same days.
    #[arg(long)]
    seed: Option<u64>,
}

impl Simulate {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        let database = Database::open_throwaway(&program.settings.config).await?;
        let simulated = self.simulate(program, &database).await;
        database.close().await;
        simulated
    }

    async fn simulate(self, program: Program, database: &Database) -> anyhow::Result<()> {
        database.migrate().await?;
        let seed = self.seed.unwrap_or_else(rand::random);
        let mut config = program.settings.config;
        let worker = &mut config.worker;
        for slots in [&mut worker.money, &mut worker.default, &mut worker.bulk] {
            *slots = SLOTS;
        }
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let clock = Clock::default();
        let roles = Roles::Unscheduled;
        let mut rehearsal =
            Rehearsal::begin(config, database, listener, roles, clock, seed).await?;
        let people = People::of_seed(seed, self.accounts as usize);
        let mut year = Year::begin(&rehearsal, people, database.connect().await?, self.months);
        let passed = tokio::select! {
            passed = year.pass() => passed,
            why = rehearsal.ended() => Err(why),
            () = program.shutdown.cancelled() => Err(anyhow::anyhow!("stopped before its end")),
        };
        let report = match passed {
            Ok(()) => year.report(seed).await,
            Err(why) => Err(why.context(format!("with --seed {seed}"))),
        };
        rehearsal.stop().await?;
        let report = report?;
        program.output.print(&report, report::told);
        report.verdict()
    }
}
