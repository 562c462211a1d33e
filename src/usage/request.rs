//! What is asked of the ledger.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tollkeeper_jobs::{
    plans::Window,
    usage::{MicroUnits, Span},
};

/// The source of what an app reports.
pub const SOURCE_APP: &str = "app";
/// The source of what users report themselves, with their token.
pub const SOURCE_USER: &str = "user";

/// One use of one feature, done or wished for.
#[derive(Debug, Clone)]
pub struct Request {
    pub account_id: String,
    /// One of the catalogue's.
    pub feature: String,
    pub quantity: MicroUnits,
    pub how: How,
    /// Who says so: an app, or a provider whose callbacks are metered.
    pub source: &'static str,
    /// What makes a copy of it known as a copy. None: it is no copy of anything.
    pub key: Option<Key>,
    /// None: now. Only what is tracked may lie in the past.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The window it counts in, where that was settled before. None: by the account's rights now.
    pub window: Option<(Window, Span)>,
    pub app_name: Option<String>,
    pub metadata: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was done: it is counted, whatever the limit.
    Track,
    /// Count it if the limit allows it, in one step.
    Consume,
    /// Hold it for so long, if the limit allows it.
    Reserve(Duration),
}

/// The id that the source has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// At most 600 characters.
    pub source_id: String,
    /// The same id may stand for a use of several features (a call's minutes, and its transcription).
    pub is_per_feature: bool,
    /// Of all that was asked.
    pub request_sha256: [u8; 32],
}

impl Key {
    /// An idempotency key: it stands for this one request of this one asker.
    pub fn of_request(source_id: String, request: &Value) -> Key {
        Key {
            source_id,
            is_per_feature: false,
            request_sha256: Sha256::digest(request.to_string()).into(),
        }
    }
}

/// Of what was asked: a copy has the same.
pub(super) fn sha256(asked: &str) -> Vec<u8> {
    Sha256::digest(asked).to_vec()
}
