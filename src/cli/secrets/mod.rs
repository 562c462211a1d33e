//! `tollkeeper secrets …`: the sealed tokens at rest.

mod check;
mod import;
mod rotate;
mod rows;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use secrecy::SecretString;

pub use check::{CheckReport, check, require_fitting_keys};
pub use import::{ImportReport, import};
pub use rotate::{RotateReport, rotate};
pub use rows::{Row, parse};

use super::{Database, Output, Program, Usage, signed::Signed};
use crate::{config::Config, sealed::Keyring};

/// Sealed tokens: seal them with a new key, check that they open, import those of an older service.
#[derive(Debug, Args)]
pub struct Secrets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Seal every token with the first key of ENCRYPTION_KEY. Safe while the service runs.
    Rotate {
        #[command(flatten)]
        by: Signed,
    },
    /// Open every token, and say which keys are still needed.
    Check,
    /// Import tokens of an older service: AES-256-CBC (LEGACY_ENCRYPTION_KEY) or plain text.
    Import {
        /// CSV with a heading, or one JSON object a line: account_id, subaccount_sid, auth_token, friendly_name.
        file: PathBuf,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        by: Signed,
    },
}

impl Secrets {
    /// Fails when a token did not open or a row was refused.
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        let config = &program.settings.config;
        let keyring =
            Keyring::new(&config.encryption_keys).map_err(|error| Usage(error.to_string()))?;
        let database = Database::open(config).await?;
        let ended = self
            .command
            .run(config, &keyring, &database, program.output)
            .await;
        database.close().await;
        ended
    }
}

impl Command {
    async fn run(
        self,
        config: &Config,
        keyring: &Keyring,
        database: &Database,
        output: Output,
    ) -> anyhow::Result<()> {
        let mut conn = database.connect().await?;
        match self {
            Command::Rotate { by } => {
                let report = rotate(&mut conn, keyring, by.by()).await?;
                output.print(&report, RotateReport::text);
                ensure!(
                    report.unreadable.is_empty(),
                    "{} tokens do not open",
                    report.unreadable.len()
                );
            }
            Command::Check => {
                let report = check(&mut conn, keyring).await?;
                output.print(&report, CheckReport::text);
                ensure!(
                    report.unreadable.is_empty(),
                    "{} tokens do not open",
                    report.unreadable.len()
                );
            }
            Command::Import { file, dry_run, by } => {
                let text = std::fs::read_to_string(&file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                let rows = parse(&SecretString::from(text))
                    .map_err(|why| Usage(format!("{}: {why}", file.display())))?;
                let legacy_key = config.legacy_encryption_key.as_ref();
                let by = (!dry_run).then(|| by.by());
                let report = import(&mut conn, keyring, legacy_key, &rows, by).await?;
                output.print(&report, ImportReport::text);
                ensure!(
                    report.refused.is_empty(),
                    "{} rows were refused",
                    report.refused.len()
                );
            }
        }
        Ok(())
    }
}
