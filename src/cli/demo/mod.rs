//! `tollkeeper demo`: the whole service beside stand-ins of its providers, and a story told with it.
//!
//! Nothing of it is a rehearsal: the events are signed and posted, the workers are the real ones,
//! and what goes wrong does so on a socket. In the end the books are compared, and the demo fails
//! when they do not say what it claims.

mod calls;
mod cast;
mod paper;
mod proof;
mod story;
mod summary;
mod watch;
mod words;

use std::{io, net::TcpListener, time::Duration};

use anyhow::Context as _;
use clap::Args;

use self::{
    cast::Customer,
    paper::Paper,
    story::{Stage, quiet_down},
    summary::Places,
};
use super::{Database, Program, Settings, rehearsal::Rehearsal, roles::Roles};
use crate::clock::Clock;

/// How long a provider may take to carry a lost request out. Ten minutes in earnest.
const QUIET_TIME: Duration = Duration::from_secs(1);
/// Retries wait a tenth as long as in earnest.
const BACKOFF_SCALE: f64 = 0.1;
const DRAIN: Duration = Duration::from_secs(2);

/// See it work, with nothing set up: four customers and a crowd, what goes wrong, and the proof.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep it running afterwards, until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

impl Demo {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        let clock = Clock::default();
        let paper = Paper::new(clock.now());
        paper.opening();
        let database = Database::open_alone(&program.settings.config).await?;
        let performed = self.perform(program, &database, clock, paper).await;
        database.close().await;
        performed
    }

    async fn perform(
        self,
        program: Program,
        database: &Database,
        clock: Clock,
        paper: Paper,
    ) -> anyhow::Result<()> {
        database.migrate().await?;
        let Settings { mut config, .. } = program.settings;
        let config_port = config.port;
        let data_dir = config.data_dir.clone();
        config.telephony.quiet_time = QUIET_TIME;
        config.worker.backoff_scale = BACKOFF_SCALE;
        config.worker.drain = DRAIN;
        let listener = listen(config_port)?;
        let seed = rand::random();
        let mut conn = database.connect().await?;
        quiet_down(&mut conn, clock.now()).await?;
        let mut rehearsal =
            Rehearsal::begin(config, database, listener, Roles::Both, clock, seed).await?;
        let (ctx, sandbox) = (rehearsal.ctx.clone(), rehearsal.sandbox.clone());
        let port = rehearsal.address.port();
        let places = Places {
            service: format!("http://{}", rehearsal.address),
            taken_port: Some(config_port).filter(|wanted| *wanted != 0 && *wanted != port),
            sandbox: format!("http://{}", sandbox.address()),
            database: database.embedded_url().unwrap_or_default(),
        };
        paper.ready(&places, &data_dir);
        let stage = Stage::new(ctx, sandbox, paper, Customer::cast());
        let told = tokio::select! {
            told = stage.perform(&mut conn, &places, self.stay) => told,
            why = rehearsal.ended() => Err(why),
            () = program.shutdown.cancelled() => Err(anyhow::anyhow!("stopped before its end")),
        };
        if told.is_ok() && self.stay {
            program.shutdown.cancelled().await;
        }
        rehearsal.stop().await?;
        told
    }
}

/// On that port, or on a free one when somebody else has it.
fn listen(port: u16) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(("127.0.0.1", 0)).context("no port is free")
        }
        bound => bound.with_context(|| format!("port {port} cannot be listened on: set PORT")),
    }
}
