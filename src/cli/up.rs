//! `tollkeeper up`: the whole service in one process, with its own database if none is named.

use clap::Args;

use super::{
    Database, Program, Settings,
    roles::{self, Roles},
    sandbox,
};
use crate::{clock::Clock, http::health::Providers};

/// Run everything in one process; make up what is not set.
#[derive(Debug, Args)]
pub struct Up {}

impl Up {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        let settings = &program.settings;
        tell_what_was_made_up(settings);
        settings.require_providers()?;
        let database = Database::open_alone(&settings.config).await?;
        let served = serve(program, &database).await;
        database.close().await;
        served
    }
}

async fn serve(program: Program, database: &Database) -> anyhow::Result<()> {
    let Settings {
        mut config,
        is_sandbox,
        ..
    } = program.settings;
    database.migrate().await?;
    if let Some(url) = database.embedded_url() {
        println!("database: {url}");
    }
    let listener = roles::listen(&config, config.port)?;
    let address = listener.local_addr()?;
    let clock = Clock::default();
    let mut providers = Providers::Real;
    let mut beside = None;
    if is_sandbox {
        let webhook = format!("http://127.0.0.1:{}/stripe/webhook", address.port());
        let sandbox = sandbox::beside(&mut config, webhook, clock.clone(), rand::random()).await?;
        println!(
            "sandbox:  http://{}/sandbox/state — no real provider is called",
            sandbox.address()
        );
        tracing::warn!("the providers are the sandbox: nothing is bought and nobody is billed");
        println!("a key:    tollkeeper keys create mine --scopes '*' --sandbox");
        providers = Providers::Sandbox;
        beside = Some(sandbox);
    }
    println!("serving:  http://{address}/docs");
    let ctx = roles::prepare(config, database, clock).await?;
    let ran = roles::run(
        ctx,
        Roles::Both,
        providers,
        Some(listener),
        program.shutdown,
    )
    .await;
    if let Some(sandbox) = beside {
        sandbox.stop().await;
    }
    ran
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
