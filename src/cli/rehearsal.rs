//! The whole service in this process, beside the stand-ins of its providers: what the demo and the simulation run.

use std::net::{SocketAddr, TcpListener};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    Database,
    roles::{self, Roles},
    sandbox,
};
use crate::{
    clock::Clock, config::Config, context::Context, http::health::Providers, sandbox::Sandbox,
};

pub struct Rehearsal {
    pub ctx: Context,
    pub sandbox: Sandbox,
    pub address: SocketAddr,
    running: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Rehearsal {
    /// Start it over a database of its own that nothing else uses. The providers' clock is the service's; the seed is of
    /// their ids and numbers.
    pub async fn begin(
        mut config: Config,
        database: &Database,
        listener: TcpListener,
        roles: Roles,
        clock: Clock,
        seed: u64,
    ) -> anyhow::Result<Rehearsal> {
        let address = listener.local_addr()?;
        config.public_base_url = format!("http://{address}");
        config.price_ids.clear();
        // The stand-in of Stripe and whoever looks on share this machine's address.
        config.http.connections_per_address_max = config.http.connections_max;
        let webhook = format!("http://{address}/stripe/webhook");
        let sandbox = sandbox::beside(&mut config, webhook, clock.clone(), seed).await?;
        let ctx = roles::prepare(config, database, clock).await?;
        let stop = CancellationToken::new();
        let running = tokio::spawn(roles::run(
            ctx.clone(),
            roles,
            Providers::Sandbox,
            Some(listener),
            stop.clone(),
        ));
        Ok(Rehearsal {
            ctx,
            sandbox,
            address,
            running,
            stop,
        })
    }

    /// Why it ended by itself.
    pub async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.running).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => anyhow::anyhow!("the service ended"),
            Err(error) => error.into(),
        }
    }

    /// Drain it, and then the stand-ins.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        // One that ended by itself has said why.
        if !self.running.is_finished() {
            self.running.await??;
        }
        self.sandbox.stop().await;
        Ok(())
    }
}
