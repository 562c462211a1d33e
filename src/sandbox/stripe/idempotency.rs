//! Idempotency keys: the first answer is repeated for a day.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::errors;
use crate::sandbox::wire::{Reply, Request};

const KEPT_FOR: TimeDelta = TimeDelta::hours(24);
const KEY_LENGTH_MAX: usize = 255;

struct Entry {
    fingerprint: String,
    first_used_at: DateTime<Utc>,
    /// None while the first request is in progress.
    answer: Option<Reply>,
}

#[derive(Default)]
pub struct Idempotency {
    entries: HashMap<String, Entry>,
}

impl Idempotency {
    /// The answer for a request that must not be carried out; else its key is taken until
    /// [`Idempotency::settle`].
    pub fn claim(&mut self, request: &Request, now: DateTime<Utc>) -> Option<Reply> {
        let key = key_of(request)?;
        if key.len() > KEY_LENGTH_MAX {
            let message = "Idempotency keys are at most 255 characters.";
            return Some(errors::invalid_parameter("idempotency_key", message));
        }
        let fingerprint = request.fingerprint();
        match self.entries.get(key) {
            Some(entry) if now - entry.first_used_at < KEPT_FOR => {
                Some(if entry.fingerprint != fingerprint {
                    errors::key_of_another_request(key)
                } else if let Some(answer) = &entry.answer {
                    answer.clone().with_header("Idempotent-Replayed", "true")
                } else {
                    errors::key_in_use()
                })
            }
            _ => {
                let entry = Entry {
                    fingerprint,
                    first_used_at: now,
                    answer: None,
                };
                self.entries.insert(key.to_owned(), entry);
                None
            }
        }
    }

    /// Keep the answer, a 500 as well; a request that was turned down frees its key.
    pub fn settle(&mut self, request: &Request, reply: &Reply) {
        let Some(key) = key_of(request) else {
            return;
        };
        if !reply.is_executed {
            self.entries.remove(key);
        } else if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(reply.clone());
        }
    }
}

/// Only POST heeds a key.
fn key_of(request: &Request) -> Option<&str> {
    request
        .idempotency_key
        .as_deref()
        .filter(|_| request.method == "POST")
}
