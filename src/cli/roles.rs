//! The roles of a process: web, worker, or both.

use std::{io, net::TcpListener, time::Duration};

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Database, Usage, descriptors, secrets};
use crate::{
    clock::Clock,
    config::Config,
    context::Context,
    http::{self, api::Options, auth::RefreshRule, health::Providers},
    scheduler,
    worker::{self, Register},
};

/// How long a request for telephony waits for it before it is told to ask again.
const PROVISION_WAIT: Duration = Duration::from_secs(8);
/// Histograms keep what came since; unread, they would grow for ever.
const FIGURES_TIDIED_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    Web,
    Worker,
    Both,
    /// Both, and whoever runs it looks at the timetable.
    Unscheduled,
}

/// Everything a role runs with, its settings checked against the database.
pub async fn prepare(config: Config, database: &Database, clock: Clock) -> anyhow::Result<Context> {
    let pools = database.pools(&config.pools);
    let ctx = Context::new(config, pools, clock).map_err(|faults| Usage(faults.join("\n")))?;
    secrets::require_fitting_keys(&mut database.connect().await?, &ctx.keyring).await?;
    Ok(ctx)
}

/// A listener on this port of the host that is set.
pub fn listen(config: &Config, port: u16) -> anyhow::Result<TcpListener> {
    let address = (config.host, port);
    TcpListener::bind(address).with_context(|| {
        format!(
            "{}:{port} cannot be listened on: set HOST, PORT or WORKER_METRICS_PORT",
            config.host
        )
    })
}

/// Run until told to stop, then drain. If one part ends with an error the others are drained too.
pub async fn run(
    ctx: Context,
    roles: Roles,
    providers: Providers,
    listener: Option<TcpListener>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    descriptors::allow_all(&ctx.config);
    let mut parts: JoinSet<io::Result<()>> = JoinSet::new();
    let metrics = figures(&stop)?;
    if let (Roles::Worker, Some(port)) = (roles, ctx.config.worker.metrics_port) {
        let listener = listen(&ctx.config, port)?;
        let health = http::health::serve(
            ctx.clone(),
            providers,
            metrics.clone(),
            listener,
            stop.clone(),
        );
        parts.spawn(health);
    }
    if let Some(listener) = listener {
        let options = Options {
            providers,
            metrics,
            provision_wait: PROVISION_WAIT,
            jwks_refresh: RefreshRule::default(),
        };
        parts.spawn(http::serve(ctx.clone(), options, listener, stop.clone()));
    }
    if roles != Roles::Web {
        parts.spawn(worker::run_until(
            ctx.clone(),
            Register::all(),
            stop.clone(),
        ));
    }
    if matches!(roles, Roles::Worker | Roles::Both) {
        let (ctx, stop) = (ctx.clone(), stop.clone());
        parts.spawn(async move {
            scheduler::run_until(ctx, stop).await;
            Ok(())
        });
    }
    tokio::spawn(
        ctx.wake
            .clone()
            .tell_others(ctx.pools.queue.clone(), stop.clone()),
    );
    let mut ended = Ok(());
    while let Some(part) = parts.join_next().await {
        // Whatever ended first, the rest is told to end as well.
        stop.cancel();
        ended = ended.and(part.map_err(anyhow::Error::from).and_then(|part| Ok(part?)));
    }
    ended
}

/// The figures of this process, from now on.
fn figures(stop: &CancellationToken) -> anyhow::Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("figures are kept once in a process")?;
    let (tidied, stop) = (handle.clone(), stop.clone());
    tokio::spawn(async move {
        while stop
            .run_until_cancelled(tokio::time::sleep(FIGURES_TIDIED_EVERY))
            .await
            .is_some()
        {
            tidied.run_upkeep();
        }
    });
    Ok(handle)
}
