//! Tollkeeper beside plain Postgres: every figure is measured three times against what the same server does
//! in the same minutes, and the median counts. `make bench` runs all; the rows go to `target/bench.json`.

mod billing;
mod claims;
mod drain;
mod enqueue;
mod idle;
mod ingest;
mod load;
mod machine;
mod memory;
mod noop;
mod plain;
mod requests;
mod rows;
mod server;
mod snapshot;
mod twiml;
mod usage;

#[path = "../tests/it/support/figures.rs"]
mod figures;

use clap::{Parser, Subcommand};

use rows::Rows;
use server::Server;

#[derive(Debug, Parser)]
struct CommandLine {
    /// How often each figure is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only the measurements whose name begins so.
    #[arg(long)]
    only: Option<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The processes beside the measuring one.
#[derive(Debug, Subcommand)]
enum Part {
    /// A worker that knows the no-op job.
    #[command(hide = true)]
    Worker,
    /// A sender of requests.
    #[command(hide = true)]
    Load(load::Load),
}

fn main() -> anyhow::Result<()> {
    let line = CommandLine::parse();
    // The sender is to cost as little as pgbench does: one thread.
    let runtime = match line.part {
        Some(Part::Load(_)) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
    .enable_all()
    .build()?;
    match line.part {
        Some(Part::Worker) => runtime.block_on(noop::work()),
        Some(Part::Load(load)) => runtime.block_on(load.run()),
        None => runtime.block_on(measure(line.rounds, line.only.unwrap_or_default())),
    }
}

async fn measure(rounds: usize, only: String) -> anyhow::Result<()> {
    let server = Server::start().await?;
    machine::describe(&server).await?;
    let mut rows = Rows::new(rounds);
    let wanted = |name: &str| name.starts_with(&only);
    if wanted("ingest") {
        ingest::measure(&server, &mut rows).await?;
    }
    if wanted("twiml") {
        twiml::measure(&server, &mut rows).await?;
    }
    if wanted("usage") {
        usage::measure(&server, &mut rows).await?;
    }
    if wanted("growth") {
        usage::cost_as_it_grows(&server, &mut rows).await?;
    }
    if wanted("billing") {
        billing::measure(&server, &mut rows).await?;
    }
    if wanted("enqueue") {
        enqueue::measure(&server, &mut rows).await?;
    }
    if wanted("drain") {
        drain::measure(&server, &mut rows).await?;
    }
    if wanted("idle") {
        idle::measure(&server, &mut rows).await?;
    }
    if wanted("claims") {
        claims::measure(&server, &mut rows).await?;
    }
    if wanted("snapshot") {
        snapshot::measure(&server, &mut rows).await?;
    }
    if wanted("memory") {
        memory::measure(&server, &mut rows).await?;
    }
    rows.print();
    server.stop().await;
    Ok(())
}
