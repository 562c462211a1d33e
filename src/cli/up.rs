//! `tollkeeper up`: the whole service in one process, with its own database if none is named.

use clap::Args;

use super::{Database, Program, Settings, Usage, secrets};
use crate::sealed::Keyring;

/// Run everything in one process; make up what is not set.
#[derive(Debug, Args)]
pub struct Up {}

impl Up {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        let settings = &program.settings;
        tell_what_was_made_up(settings);
        settings.require_providers()?;
        let database = Database::open_alone(&settings.config).await?;
        let served = serve(&program, &database).await;
        database.close().await;
        served
    }
}

async fn serve(program: &Program, database: &Database) -> anyhow::Result<()> {
    let keyring = Keyring::new(&program.settings.config.encryption_keys)
        .map_err(|error| Usage(error.to_string()))?;
    database.migrate().await?;
    secrets::require_fitting_keys(&mut database.connect().await?, &keyring).await?;
    if let Some(url) = database.embedded_url() {
        println!("database: {url}");
    }
    program.shutdown.cancelled().await;
    Ok(())
}

fn tell_what_was_made_up(settings: &Settings) {
    if let Some(made_up) = &settings.made_up {
        println!(
            "made up {} in {}",
            made_up.names.join(", "),
            made_up.file.display()
        );
    }
}
