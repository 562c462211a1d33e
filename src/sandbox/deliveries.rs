//! The courier: carries events to the webhook endpoints until they are accepted.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc::UnboundedReceiver};

use super::{
    Shared,
    faults::{When, millis},
    stripe::{Letter, Parcel},
};

/// More at once would only queue up in the receiver.
const POSTS_AT_ONCE: usize = 64;

/// How deliveries are repeated.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// The wait after the first failure; doubled after each further one.
    pub backoff_first: Duration,
    pub backoff_max: Duration,
    pub attempts_max: u32,
    /// How long the receiver may take.
    pub deadline: Duration,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
            attempts_max: 30,
            deadline: Duration::from_secs(10),
        }
    }
}

/// What may become of an event besides arriving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mischief {
    /// Never sent; only `GET /v1/events` has it.
    Lose,
    /// Sent twice.
    Twice,
    /// Held back, so that later ones overtake it.
    Late {
        #[serde(with = "millis", rename = "ms")]
        by: Duration,
    },
}

/// A mischief and the events it is for. Rules are asked in their order; the first that strikes wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MischiefRule {
    /// Part of the event's type; the empty one is part of every type.
    #[serde(default)]
    pub event_type_contains: String,
    #[serde(default)]
    pub when: When,
    pub mischief: Mischief,
}

impl MischiefRule {
    pub fn new(event_type_contains: &str, when: When, mischief: Mischief) -> MischiefRule {
        MischiefRule {
            event_type_contains: event_type_contains.to_owned(),
            when,
            mischief,
        }
    }
}

/// One attempt to deliver an event.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    pub at: DateTime<Utc>,
    pub event_id: String,
    pub event_type: &'static str,
    pub endpoint_id: String,
    /// From 1; two copies of one event count apart.
    pub attempt: u32,
    /// The receiver's status; none when there was no answer.
    pub status: Option<u16>,
}

/// Deliver until the sandbox stops.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut parcels: UnboundedReceiver<Parcel>,
    retries: Retries,
) {
    // Several providers may be compiled in, so rustls wants to be told; the first to say it wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(retries.deadline)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client without TLS material of its own can be built");
    let posts = Arc::new(Semaphore::new(POSTS_AT_ONCE));
    loop {
        let parcel = tokio::select! {
            () = shared.stopping.cancelled() => return,
            parcel = parcels.recv() => parcel,
        };
        let Some(parcel) = parcel else {
            return;
        };
        let (shared, client, posts) = (shared.clone(), client.clone(), posts.clone());
        shared.tasks.clone().spawn(async move {
            tokio::select! {
                () = shared.stopping.cancelled() => return,
                () = deliver(&shared, &client, &posts, &parcel, retries) => {}
            }
            shared.world().stripe.close_parcel();
        });
    }
}

/// Until it is accepted, or given up.
async fn deliver(
    shared: &Shared,
    client: &reqwest::Client,
    posts: &Semaphore,
    parcel: &Parcel,
    retries: Retries,
) {
    tokio::time::sleep(parcel.delay).await;
    let mut backoff = retries.backoff_first;
    for attempt in 1..=retries.attempts_max {
        if attempt > 1 {
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(retries.backoff_max);
        }
        let _permit = posts.acquire().await;
        let signed_at = shared.receivers_clock.now();
        let letter = shared.world().stripe.letter(parcel, signed_at);
        let Some(letter) = letter else {
            break;
        };
        let status = post(client, letter).await;
        shared
            .world()
            .stripe
            .note_attempt(parcel, attempt, status, shared.clock.now());
        if status.is_some_and(|status| (200..300).contains(&status)) {
            return;
        }
    }
    shared.world().stripe.give_up(parcel);
}

async fn post(client: &reqwest::Client, letter: Letter) -> Option<u16> {
    let request = client
        .post(&letter.url)
        .header("Content-Type", "application/json; charset=utf-8")
        .header(
            "User-Agent",
            "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        )
        .header("Stripe-Signature", letter.signature)
        .body(letter.body);
    let response = request.send().await.ok()?;
    Some(response.status().as_u16())
}
