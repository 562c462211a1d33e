//! Stripe's webhooks. One handler for every path: the secret that verifies names the endpoint.

use std::sync::Arc;

use poem::{Endpoint, Request, Response, Result, Route, http::StatusCode, post};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use tollkeeper_jobs::{HandleStripeEvent, NewJob, stripe::Whose, stripe_events};
use uuid::Uuid;

use super::{Delivery, Receiver, count, count_stored, fingerprint, later, text};
use crate::{
    db::webhooks::{NewWebhook, Provider, State},
    signature::stripe as signature,
};

/// Where Stripe's endpoints point, here and in the services that this one replaces.
pub const PATHS: [&str; 3] = [
    "/stripe/webhook",
    "/api/stripe/webhook",
    "/stripe-webhook-endpoint",
];
/// In bytes; an invoice with many lines is large.
pub const BODY_MAX: usize = 256 * 1024;

/// Stripe's part of the routes.
pub fn routes(route: Route, receiver: &Arc<Receiver>) -> Route {
    PATHS.into_iter().fold(route, |route, path| {
        route.at(path, post(Webhook(receiver.clone())))
    })
}

struct Webhook(Arc<Receiver>);

/// All that routing needs of a snapshot event or a thin one; the object is fetched again anyway.
#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default, rename = "data")]
    whose: Whose,
}

/// An event whose object has a shape of its own.
#[derive(Deserialize)]
struct Unread {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
}

impl Event {
    /// Of a raw body, at the first look or at the second: whose it is stays open rather than that an event is
    /// refused for it.
    fn read(body: &[u8]) -> serde_json::Result<Event> {
        serde_json::from_slice(body).or_else(|_| {
            let Unread { id, event_type } = serde_json::from_slice(body)?;
            Ok(Event {
                id,
                event_type,
                whose: Whose::default(),
            })
        })
    }
}

impl Endpoint for Webhook {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let body = request.take_body().into_vec().await?;
        let header = request.header("stripe-signature").unwrap_or_default();
        let delivery = match self.read(header, body) {
            Ok(delivery) => delivery,
            Err((outcome, said)) => {
                count(Provider::Stripe, outcome);
                return Ok(text(StatusCode::BAD_REQUEST, said));
            }
        };
        Ok(match self.0.store.put(delivery).await {
            Ok(stored) => {
                count_stored(Provider::Stripe, stored);
                received()
            }
            Err(error) => later(Provider::Stripe, error),
        })
    }
}

impl Webhook {
    /// A verified delivery, or the outcome to count and what to answer.
    fn read(&self, header: &str, body: Vec<u8>) -> Result<Delivery, (&'static str, &'static str)> {
        let ctx = &self.0.ctx;
        let secrets: Vec<&str> = ctx
            .config
            .stripe
            .webhook_secrets
            .iter()
            .map(|secret| secret.expose_secret())
            .collect();
        let now = ctx.clock.now().timestamp();
        let signer = signature::verify(header, &body, &secrets, now, signature::TOLERANCE_SECONDS)
            .map_err(|error| (error.as_str(), "Invalid signature"))?;
        let event = Event::read(&body).map_err(|_| ("unreadable", "not a Stripe event"))?;
        if !is_name(&event.id) || !is_name(&event.event_type) {
            return Err(("unreadable", "not a Stripe event"));
        }
        let id = Uuid::now_v7();
        let (job, customer_ref) = match stripe_events::route(&event.event_type) {
            Some(_) => {
                let job = NewJob::of(&HandleStripeEvent { webhook_id: id });
                let whose = event.whose;
                (Some(job.of_account(whose.account_id)), whose.customer_ref)
            }
            None => (None, None),
        };
        let state = if job.is_some() {
            State::Stored
        } else {
            State::Ignored
        };
        let webhook = NewWebhook {
            id,
            provider: Provider::Stripe,
            event_key: event.id,
            kind: event.event_type,
            endpoint: fingerprint(secrets[signer]),
            headers: json!({ "stripe-signature": header }),
            body,
            state,
        };
        Ok(Delivery {
            webhook,
            job,
            customer_ref,
        })
    }
}

/// Ids and types are short and plain; anything else would be a row that cannot be stored.
fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What the senders of all replaced services expect, in one body.
fn received() -> Response {
    let body = json!({ "received": true, "success": true, "data": { "received": true } });
    Response::builder()
        .content_type("application/json")
        .body(body.to_string())
}
