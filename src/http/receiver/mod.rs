//! The receiver: verifies what the providers send, stores it with its job, and only then says so.
//!
//! | | answer |
//! |---|---|
//! | stored, or a copy of what is stored | 2xx |
//! | the signature does not verify | 400 to Stripe, 403 to the others; nothing is stored |
//! | the database is down, slow or full | 503 with `Retry-After`; the sender keeps the webhook |
//!
//! One exception: somebody on the line hears a fixed apology instead of an error. Such a call is not
//! acknowledged as stored anywhere; the provider's own list of calls has it.

mod answers;
mod store;
mod stripe;
mod twilio;
mod voipms;

use std::sync::Arc;

use hex::ToHex;
use poem::{
    Endpoint, Response, Route,
    http::{StatusCode, header},
};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

pub use store::{Delivery, NotStored, Store, Stored};
pub use stripe::BODY_MAX as STRIPE_BODY_MAX;

use crate::{context::Context, db::webhooks::Provider};

/// What all endpoints of the receiver share.
pub struct Receiver {
    ctx: Context,
    store: Store,
}

impl Receiver {
    /// Start it. The task ends after everything is stored, once every user of the receiver is gone.
    pub fn start(ctx: &Context) -> (Arc<Receiver>, JoinHandle<()>) {
        let (store, task) = Store::start(ctx);
        let receiver = Receiver {
            ctx: ctx.clone(),
            store,
        };
        (Arc::new(receiver), task)
    }
}

/// Every path that a provider calls, in the form of the router. There is no other.
pub fn paths() -> impl Iterator<Item = String> {
    let stripe = stripe::PATHS.into_iter().map(str::to_owned);
    stripe.chain(twilio::paths()).chain(voipms::paths())
}

/// An endpoint at each of them. One of them is an app's too: `api` answers it then.
pub fn routes<E>(route: Route, receiver: &Arc<Receiver>, api: &Arc<E>) -> Route
where
    E: Endpoint<Output = Response> + 'static,
{
    let route = stripe::routes(route, receiver);
    let route = twilio::routes(route, receiver, api);
    voipms::routes(route, receiver)
}

/// Whether a path takes Stripe's larger bodies.
pub fn is_stripe(path: &str) -> bool {
    stripe::PATHS.contains(&path)
}

fn count(provider: Provider, outcome: &'static str) {
    metrics::counter!("tollkeeper_webhooks_total",
        "provider" => provider.as_str(), "outcome" => outcome)
    .increment(1);
}

fn count_stored(provider: Provider, stored: Stored) {
    let outcome = match stored {
        Stored::New => "stored",
        Stored::Duplicate => "duplicate",
    };
    count(provider, outcome);
}

/// Not a word about why: the sender is to come again.
fn later(provider: Provider, error: NotStored) -> Response {
    count(provider, error.as_str());
    Response::builder()
        .status(StatusCode::SERVICE_UNAVAILABLE)
        .header(header::RETRY_AFTER, "5")
        .content_type("text/plain")
        .body("not stored, try again")
}

fn text(status: StatusCode, body: &'static str) -> Response {
    Response::builder()
        .status(status)
        .content_type("text/plain")
        .body(body)
}

/// Names a secret without telling it.
fn fingerprint(secret: &str) -> String {
    let digest: String = Sha256::digest(secret.as_bytes()).encode_hex();
    digest[..12].to_owned()
}
