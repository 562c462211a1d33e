//! The web role: providers call the receiver, apps the API, over one socket.
//!
//! The receiver stores and answers, and calls no provider. The API does no work of jobs, but asks providers while somebody
//! waits: what is on sale, a number's details, what Stripe would charge.

mod access_log;
pub mod api;
pub mod auth;
mod family;
pub mod health;
mod layers;
pub mod listener;
mod problem;
mod rate_limits;
pub mod receiver;

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use poem::{Endpoint, Response, Route, Server};
use tokio_util::sync::CancellationToken;

use self::{
    listener::{Guarded, Limits},
    receiver::Receiver,
};
use crate::context::Context;

/// How long requests may take to end once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Serve until told to stop; then no new connection is taken, and what runs may end.
///
/// Returns after every webhook that was taken in is stored or was refused to its sender.
pub async fn serve(
    ctx: Context,
    options: api::Options,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let (receiver, storing) = Receiver::start(&ctx);
    let places = Arc::default();
    let app = layers::around(routes(&ctx, options, &receiver), &ctx, &places);
    drop(receiver);
    let listener = Guarded::new(listener, Limits::of(&ctx.config.http), places);
    Server::new(listener)
        .run_with_graceful_shutdown(app, shutdown.cancelled(), Some(DRAIN))
        .await?;
    storing.await.map_err(io::Error::other)
}

/// Every route of the service: the providers' paths first, everything else is the API's.
fn routes(
    ctx: &Context,
    options: api::Options,
    receiver: &Arc<Receiver>,
) -> impl Endpoint<Output = Response> + use<> {
    let api = Arc::new(api::routes(ctx, options));
    receiver::routes(Route::new(), receiver, &api).nest("/", api)
}
