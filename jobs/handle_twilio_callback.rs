//! Write down what a stored Twilio callback says of a call, a message or a recording, and meter it.
//!
//! Enqueued by the receiver in the transaction that stores the webhook. Safe to run twice and in any order: a call
//! that is over stays as it ended, and its minutes are counted under its own id. Only the provider's callbacks are
//! metered, never what an app says of a call. A recording that is over is fetched.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Job, RetryPolicy,
    telephony::{
        calls,
        fields::Fields,
        messages::{self, Wish, wish},
        recordings, reports,
    },
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleTwilioCallback {
    pub webhook_id: Uuid,
}

impl Job for HandleTwilioCallback {
    const KIND: &'static str = "handle_twilio_callback";
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.webhook_id.to_string()
    }
}

/// The kinds of callbacks that this job takes, as `telephony::callback` names them.
pub fn is_handled(kind: &str) -> bool {
    matches!(
        kind,
        "incoming_call"
            | "call_status"
            | "voice_fallback"
            | "incoming_message"
            | "message_status"
            | "record_action"
            | "recording_status"
    )
}

/// What a callback says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// And of a recording of it.
    Call(calls::Report, Option<recordings::Report>),
    /// And what its sender wishes of the number.
    Message(messages::Report, Option<Wish>),
    /// Of a recording alone.
    Recording(recordings::Report),
    /// Of none of them.
    Ignore,
}

/// By its kind and its decoded parameters.
pub fn decide(kind: &str, params: &[(String, String)]) -> Plan {
    let fields = Fields(params);
    match kind {
        "incoming_call" | "call_status" | "voice_fallback" | "record_action" => {
            let recording = reports::of_recording(&fields);
            reports::of_call(&fields).map_or(Plan::Ignore, |said| Plan::Call(said, recording))
        }
        "recording_status" => reports::of_recording(&fields).map_or(Plan::Ignore, Plan::Recording),
        "incoming_message" | "message_status" => match reports::of_message(&fields) {
            Some(said) => {
                let body = said.body.as_deref().unwrap_or_default();
                let is_inbound = said.is_inbound == Some(true);
                let wished = wish(body, fields.word("OptOutType")).filter(|_| is_inbound);
                Plan::Message(said, wished)
            }
            None => Plan::Ignore,
        },
        _ => Plan::Ignore,
    }
}
