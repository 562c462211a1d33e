//! `tollkeeper config check`: what the settings come to, before anything is started.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Program;

/// Look at the settings.
#[derive(Debug, Args)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every setting and say what is missing for real use. Secrets are shown as ***.
    Check,
}

#[derive(Serialize)]
struct Report {
    database: &'static str,
    public_base_url: String,
    stripe_api_base: String,
    twilio_api_base: String,
    missing: Vec<&'static str>,
}

impl Config {
    /// Fails when a role could not start.
    pub fn run(self, program: Program) -> anyhow::Result<()> {
        let Command::Check = self.command;
        let config = &program.settings.config;
        let report = Report {
            database: match config.database_url {
                Some(_) => "DATABASE_URL",
                None => "embedded",
            },
            public_base_url: config.public_base_url.clone(),
            stripe_api_base: config.stripe.api_base.clone(),
            twilio_api_base: config.twilio.api_base.clone(),
            missing: config.missing().into_iter().map(|(name, _)| name).collect(),
        };
        program.output.print(&report, |_| format!("{config:#?}"));
        program.settings.require_providers()?;
        Ok(())
    }
}
