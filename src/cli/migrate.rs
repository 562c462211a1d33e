//! `tollkeeper migrate`: the release step.

use clap::Args;
use serde::Serialize;

use super::{Database, Program};
use crate::db;

/// Bring the database up to date. Safe while the service runs.
#[derive(Debug, Args)]
pub struct Migrate {}

#[derive(Serialize)]
struct Report {
    version: i64,
}

impl Migrate {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        let database = Database::open(&program.settings.config).await?;
        let migrated = database.migrate().await;
        database.close().await;
        migrated?;
        let version = db::MIGRATIONS
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or_default();
        program.output.print(&Report { version }, |report| {
            format!("the database is up to date (version {})", report.version)
        });
        Ok(())
    }
}
