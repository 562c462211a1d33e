//! A load of signed Stripe webhooks, from senders that do as Stripe does: each comes again with an
//! event until it is told that it arrived. They remember what they were told.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use reqwest::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollkeeper::signature::stripe;

use super::web::{STRIPE_SECRET, golden};

/// Between two events of one sender, and before an event that was not taken comes again.
const PAUSE: Duration = Duration::from_millis(25);
/// Every so manieth event comes once more after it was acknowledged.
const COPY_EVERY: usize = 8;

/// Senders at work.
pub struct Load {
    sender: Sender,
    stop: CancellationToken,
    senders: JoinSet<()>,
}

/// Who sends, and what all of them were told.
#[derive(Clone)]
pub struct Sender {
    web: SocketAddr,
    client: Client,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    sent: AtomicUsize,
    acknowledged: Mutex<BTreeSet<String>>,
    turned_away: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

impl Load {
    /// So many senders to the receiver at that address, until stopped.
    pub fn start(web: SocketAddr, senders: usize) -> Load {
        let file = golden("webhooks/stripe/new/charge.refunded.full.json");
        let recorded: Arc<str> = std::fs::read_to_string(file).unwrap().into();
        let (sender, stop) = (Sender::to(web), CancellationToken::new());
        let mut tasks = JoinSet::new();
        for _ in 0..senders {
            let (sender, stop, recorded) = (sender.clone(), stop.clone(), recorded.clone());
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    let number = sender.told.sent.fetch_add(1, Ordering::Relaxed);
                    let event_id = format!("evt_{number}x");
                    let body = recorded.replace("evt_1SFixturenew0032", &event_id);
                    sender.deliver(&event_id, body.as_bytes()).await;
                    if number % COPY_EVERY == 0 {
                        sender.deliver(&event_id, body.as_bytes()).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Load {
            sender,
            stop,
            senders: tasks,
        }
    }

    /// How many events were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.sender.told.acknowledged.lock().unwrap().len()
    }

    /// How often a sender was told to come again.
    pub fn turned_away(&self) -> usize {
        self.sender.told.turned_away.load(Ordering::Relaxed)
    }

    /// Every event that was begun is delivered; the ids of all that were acknowledged.
    pub async fn stop(self) -> BTreeSet<String> {
        self.stop.cancel();
        self.senders.join_all().await;
        let told = &self.sender.told;
        let faults = told.faults.lock().unwrap();
        assert!(
            faults.is_empty(),
            "{} wrong answers: {}",
            faults.len(),
            faults[0]
        );
        told.acknowledged.lock().unwrap().clone()
    }
}

impl Sender {
    pub fn to(web: SocketAddr) -> Sender {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Sender {
            web,
            client: Client::new(),
            told: Arc::default(),
        }
    }

    /// Come again with this event until it is acknowledged.
    pub async fn deliver(&self, event_id: &str, body: &[u8]) {
        while self.post(body).await != Some(200) {
            tokio::time::sleep(PAUSE).await;
        }
        self.told
            .acknowledged
            .lock()
            .unwrap()
            .insert(event_id.to_owned());
    }

    /// Deliver once. None: there was no answer. Whatever is neither 200 nor a proper 503 is a fault.
    pub async fn post(&self, body: &[u8]) -> Option<u16> {
        let signature = stripe::sign(STRIPE_SECRET, body, Utc::now().timestamp());
        let request = self
            .client
            .post(format!("http://{}/stripe/webhook", self.web))
            .header("stripe-signature", signature)
            .body(body.to_vec());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.told.faults.lock().unwrap().push(error.to_string());
                return None;
            }
        };
        let (status, headers) = (answer.status().as_u16(), answer.headers());
        if status == 503 && headers.contains_key("retry-after") {
            self.told.turned_away.fetch_add(1, Ordering::Relaxed);
        } else if status != 200 {
            self.told
                .faults
                .lock()
                .unwrap()
                .push(format!("{status} {headers:?}"));
        }
        Some(status)
    }
}
