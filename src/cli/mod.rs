//! The command line: one file per command. A command is a clap struct with a `run`.

mod billing;
mod check;
mod database;
mod demo;
mod descriptors;
mod endpoints;
mod findings;
mod jobs;
mod jobs_text;
pub mod keys;
mod made_up;
mod migrate;
mod notifications;
mod output;
mod rehearsal;
mod roles;
mod sandbox;
pub mod secrets;
mod settings;
mod shutdown;
mod signed;
mod up;
mod usage;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

pub use database::Database;
pub use output::Output;
pub use settings::{Settings, Usage};

use crate::telemetry;

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Turns provider webhooks into finished work, once.
#[derive(Debug, Parser)]
#[command(name = "tollkeeper", version, max_term_width = 100)]
struct CommandLine {
    /// Use the built-in stand-ins of the providers, with a data folder of their own. Nothing is bought or billed.
    #[arg(long, global = true)]
    sandbox: bool,
    /// How data is printed.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Up(up::Up),
    Web(web::Web),
    Worker(web::Worker),
    Sandbox(sandbox::SandboxCommand),
    Migrate(migrate::Migrate),
    Jobs(jobs::Jobs),
    Keys(keys::Keys),
    Endpoints(endpoints::Endpoints),
    Notifications(notifications::Notifications),
    Secrets(secrets::Secrets),
    Usage(usage::Usage),
    Billing(billing::Billing),
    Findings(findings::Findings),
    Config(check::Config),
}

impl Command {
    async fn run(self, program: Program) -> anyhow::Result<()> {
        match self {
            Command::Demo(command) => command.run(program).await,
            Command::Up(command) => command.run(program).await,
            Command::Web(command) => command.run(program).await,
            Command::Worker(command) => command.run(program).await,
            Command::Sandbox(command) => command.run(program).await,
            Command::Migrate(command) => command.run(program).await,
            Command::Jobs(command) => command.run(program).await,
            Command::Keys(command) => command.run(program).await,
            Command::Endpoints(command) => command.run(program).await,
            Command::Notifications(command) => command.run(program).await,
            Command::Secrets(command) => command.run(program).await,
            Command::Usage(command) => command.run(program).await,
            Command::Billing(command) => command.run(program).await,
            Command::Findings(command) => command.run(program).await,
            Command::Config(command) => command.run(program),
        }
    }
}

/// What every command is given.
pub struct Program {
    pub settings: Settings,
    pub output: Output,
    /// Cancelled by SIGTERM or SIGINT.
    pub shutdown: CancellationToken,
}

/// Run the program of this process' arguments. 0: done; 1: failed; 2: wrong usage or settings.
pub async fn main() -> ExitCode {
    let line = CommandLine::parse();
    match run(line).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollkeeper: {error:#}");
            ExitCode::from(if error.is::<Usage>() { USAGE } else { FAILED })
        }
    }
}

async fn run(line: CommandLine) -> anyhow::Result<()> {
    let settings = match line.command {
        Command::Demo(_) => Settings::demo()?,
        Command::Billing(ref command) if command.is_simulation() => Settings::simulation()?,
        // The one command that makes up what is missing.
        Command::Up(_) => Settings::made_up(line.sandbox)?,
        Command::Jobs(_)
        | Command::Keys(_)
        | Command::Endpoints(_)
        | Command::Notifications(_)
        | Command::Secrets(_)
        | Command::Usage(_)
        | Command::Billing(_)
        | Command::Findings(_) => Settings::of_operator(line.sandbox)?,
        _ => Settings::read(line.sandbox)?,
    };
    let config = &settings.config;
    telemetry::start(config.log_format, &config.log_filter)
        .map_err(|error| Usage(format!("RUST_LOG: {error}")))?;
    let shutdown = shutdown::on_signal()?;
    line.command
        .run(Program {
            settings,
            output: line.output,
            shutdown,
        })
        .await
}
