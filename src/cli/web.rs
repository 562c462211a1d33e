//! `tollkeeper web` and `tollkeeper worker`: one role of the service, as a Procfile names them.

use clap::Args;

use super::{
    Database, Program, Usage,
    roles::{self, Roles},
};
use crate::{clock::Clock, http::health::Providers};

/// Receive webhooks and answer apps.
#[derive(Debug, Args)]
pub struct Web {}

/// Do the jobs and keep the timetable.
#[derive(Debug, Args)]
pub struct Worker {}

impl Web {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        run(program, Roles::Web).await
    }
}

impl Worker {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        run(program, Roles::Worker).await
    }
}

async fn run(program: Program, roles: Roles) -> anyhow::Result<()> {
    if program.settings.is_sandbox {
        // Its providers live inside `up`: a role of its own would fail that one's jobs.
        return Err(
            Usage("the sandbox runs in one process: tollkeeper up --sandbox".to_owned()).into(),
        );
    }
    program.settings.require_providers()?;
    let config = program.settings.config;
    let database = Database::open(&config).await?;
    let ran = async {
        let listener = match roles {
            Roles::Worker => None,
            _ => Some(roles::listen(&config, config.port)?),
        };
        let ctx = roles::prepare(config, &database, Clock::default()).await?;
        roles::run(ctx, roles, Providers::Real, listener, program.shutdown).await
    };
    let ran = ran.await;
    database.close().await;
    ran
}
