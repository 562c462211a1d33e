//! Events on their way out: what goes wrong with them there, the signed letters, and the log.

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, Utc};
use rand::{SeedableRng, rngs::StdRng};
use tokio::sync::{mpsc, watch};

use super::{
    Stripe,
    endpoints::Endpoint,
    events::{Standing, matches},
    shelf::Shelf,
};
use crate::{
    sandbox::deliveries::{Delivery, Mischief, MischiefRule},
    signature::stripe::sign,
};

/// One event on its way to one endpoint.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Parcel {
    pub event_id: String,
    pub endpoint_id: String,
    /// How long it is held back before the first attempt.
    pub delay: Duration,
}

/// One attempt, ready to be sent.
pub(in crate::sandbox) struct Letter {
    pub url: String,
    /// The value of `Stripe-Signature`.
    pub signature: String,
    pub body: String,
}

/// The way out: endpoints, what goes wrong there, and the log.
pub(super) struct Post {
    pub endpoints: Shelf<Endpoint>,
    pub rules: Vec<(MischiefRule, u32)>,
    /// The latest attempts, `log_max` at most.
    pub log: VecDeque<Delivery>,
    log_max: usize,
    /// All there ever were.
    pub attempts: usize,
    /// Parcels neither delivered nor given up.
    pub in_flight: watch::Sender<usize>,
    dice: StdRng,
    parcels: mpsc::UnboundedSender<Parcel>,
}

impl Post {
    pub fn new(seed: u64, log_max: usize) -> (Post, mpsc::UnboundedReceiver<Parcel>) {
        let (parcels, receiver) = mpsc::unbounded_channel();
        let post = Post {
            endpoints: Shelf::default(),
            rules: Vec::new(),
            log: VecDeque::new(),
            log_max,
            attempts: 0,
            in_flight: watch::Sender::new(0),
            dice: StdRng::seed_from_u64(seed),
            parcels,
        };
        (post, receiver)
    }

    /// Send an event to every endpoint that wants its kind.
    pub fn dispatch(&mut self, event_id: &str, kind: &str) -> Vec<(String, Standing)> {
        let wants = |endpoint: &&Endpoint| {
            endpoint.is_enabled
                && endpoint
                    .enabled_events
                    .iter()
                    .any(|pattern| matches(pattern, kind))
        };
        let wanting = self.endpoints.all().iter().filter(wants);
        let endpoint_ids: Vec<String> = wanting.map(|endpoint| endpoint.id.clone()).collect();
        let mut standings = Vec::new();
        for endpoint_id in endpoint_ids {
            let (delays, standing) = match self.mischief(kind) {
                Some(Mischief::Lose) => (vec![], Standing::Lost),
                Some(Mischief::Twice) => (vec![Duration::ZERO; 2], Standing::Waiting),
                Some(Mischief::Late { by }) => (vec![by], Standing::Waiting),
                None => (vec![Duration::ZERO], Standing::Waiting),
            };
            for delay in delays {
                self.send(event_id, &endpoint_id, delay);
            }
            standings.push((endpoint_id, standing));
        }
        standings
    }

    pub fn send(&mut self, event_id: &str, endpoint_id: &str, delay: Duration) {
        let parcel = Parcel {
            event_id: event_id.to_owned(),
            endpoint_id: endpoint_id.to_owned(),
            delay,
        };
        if self.parcels.send(parcel).is_ok() {
            self.in_flight.send_modify(|count| *count += 1);
        }
    }

    fn mischief(&mut self, kind: &str) -> Option<Mischief> {
        for (rule, count) in &mut self.rules {
            if !kind.contains(&rule.event_type_contains) {
                continue;
            }
            *count += 1;
            if rule.when.strikes(*count, &mut self.dice) {
                return Some(rule.mischief.clone());
            }
        }
        None
    }
}

impl Stripe {
    pub(in crate::sandbox) fn add_mischief(&mut self, rules: Vec<MischiefRule>) {
        self.post
            .rules
            .extend(rules.into_iter().map(|rule| (rule, 0)));
    }

    pub(in crate::sandbox) fn mischief(&self) -> Vec<MischiefRule> {
        self.post
            .rules
            .iter()
            .map(|(rule, _)| rule.clone())
            .collect()
    }

    pub(in crate::sandbox) fn clear_mischief(&mut self) {
        self.post.rules.clear();
    }

    pub(in crate::sandbox) fn deliveries(&self) -> Vec<Delivery> {
        self.post.log.iter().cloned().collect()
    }

    /// How many parcels are neither delivered nor given up.
    pub(in crate::sandbox) fn in_flight(&self) -> watch::Receiver<usize> {
        self.post.in_flight.subscribe()
    }

    /// The next attempt at a parcel, signed anew; none when the endpoint is gone.
    pub(in crate::sandbox) fn letter(&self, parcel: &Parcel, now: DateTime<Utc>) -> Option<Letter> {
        let endpoint = self.post.endpoints.get(&parcel.endpoint_id)?;
        let event = self.events.get(&parcel.event_id)?;
        if !endpoint.is_enabled {
            return None;
        }
        let body = event.body(endpoint.version);
        Some(Letter {
            url: endpoint.url.clone(),
            signature: sign(&endpoint.secret, body.as_bytes(), now.timestamp()),
            body,
        })
    }

    /// Note an attempt. `status` is the receiver's, none when there was no answer.
    pub(in crate::sandbox) fn note_attempt(
        &mut self,
        parcel: &Parcel,
        attempt: u32,
        status: Option<u16>,
        now: DateTime<Utc>,
    ) {
        let event_type = self
            .events
            .get(&parcel.event_id)
            .map_or("", |event| event.kind);
        self.post.attempts += 1;
        if self.post.log.len() >= self.post.log_max {
            self.post.log.pop_front();
        }
        self.post.log.push_back(Delivery {
            at: now,
            event_id: parcel.event_id.clone(),
            event_type,
            endpoint_id: parcel.endpoint_id.clone(),
            attempt,
            status,
        });
        if status.is_some_and(|status| (200..300).contains(&status)) {
            self.set_standing(parcel, Standing::Delivered);
        }
    }

    /// Nobody took it. An event that was delivered once stays delivered.
    pub(in crate::sandbox) fn give_up(&mut self, parcel: &Parcel) {
        self.set_standing(parcel, Standing::Failed);
    }

    /// A parcel has come to its end, one way or the other.
    pub(in crate::sandbox) fn close_parcel(&mut self) {
        self.post.in_flight.send_modify(|count| *count -= 1);
    }

    fn set_standing(&mut self, parcel: &Parcel, standing: Standing) {
        let Some(event) = self.events.get_mut(&parcel.event_id) else {
            return;
        };
        for (endpoint_id, current) in &mut event.standings {
            if *endpoint_id == parcel.endpoint_id && *current != Standing::Delivered {
                *current = standing;
            }
        }
    }
}
