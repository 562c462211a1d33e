//! One line for each request, of words that are our own: nothing of what a client sends is in it but
//! an id of the request that is plainly one.

use std::time::Instant;

use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, Method},
};
use tollkeeper_jobs::mask::mask;
use tracing::Span;
use uuid::Uuid;

use super::family::SUBSCRIPTION_WORDS;
use crate::clock::Clock;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_LENGTH_MAX: usize = 64;

/// Every word of our paths. What stands elsewhere in a path may be a user's id, the secret of a
/// callback URL or anything that lost its way.
const WORDS: [&str; 59] = [
    "api",
    "billing",
    "call-status",
    "calls",
    "conversations",
    "details",
    "dial-done",
    "docs",
    "estimate",
    "events",
    "fallback",
    "health",
    "healthz",
    "history",
    "inbound",
    "initiate",
    "make-call",
    "metrics",
    "number-status",
    "numbers",
    "openapi.json",
    "phone",
    "phone-numbers",
    "primary",
    "provision",
    "purchase-number",
    "readyz",
    "record-done",
    "recording",
    "recording-status",
    "recordings",
    "release-number",
    "search",
    "search-numbers",
    "send",
    "send-sms",
    "settings",
    "sms",
    "sms-status",
    "sms-webhook",
    "status",
    "status-callback",
    "stripe",
    "stripe-webhook-endpoint",
    "subaccount",
    "subscription",
    "summary",
    "transcription",
    "transcriptions",
    "twilio",
    "upcoming",
    "usage-trigger",
    "voice",
    "voice-fallback",
    "voice-webhook",
    "voicemail-recording",
    "voipms",
    "webhook",
    "webhooks",
];

/// What will be in a request's line, taken down before anything is done about it.
pub struct Entry {
    id: String,
    method: &'static str,
    path: String,
    started: Instant,
    span: Span,
}

impl Entry {
    /// With the id that its client gave it. One that might be anything else than an id is left out, and the request
    /// gets an id of ours.
    pub fn of(request: &Request) -> Entry {
        let given = request.headers().get(REQUEST_ID);
        let given = given
            .and_then(|id| id.to_str().ok())
            .filter(|id| is_plain_id(id));
        let id = given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        Entry {
            method: method(request.method()),
            path: path(request.uri().path()),
            started: Clock::instant(),
            span: tracing::error_span!("", request_id = %id),
            id,
        }
    }

    /// The id is in every line that is written in it.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Log how it was answered, and how long that took; the answer is told the id.
    pub fn write(self, response: &mut Response) {
        let Entry { method, path, .. } = &self;
        let (status, took) = (response.status().as_u16(), self.started.elapsed());
        metrics::histogram!("tollkeeper_http_request_seconds", "status" => status.to_string())
            .record(took);
        let millis = took.as_millis() as u64;
        self.span
            .in_scope(|| tracing::info!(method, path, status, millis, "{method} {path} {status}"));
        let id = HeaderValue::try_from(self.id).expect("it is plain ASCII");
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

fn is_plain_id(id: &str) -> bool {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=REQUEST_ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(is_id) && mask(id) == id
}

/// A client may send any word as its method.
pub fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The path with `*` in the place of every word that is not ours.
fn path(path: &str) -> String {
    let shown = path.split('/').map(|word| match word {
        "" => word,
        word if WORDS.contains(&word) || SUBSCRIPTION_WORDS.contains(&word) => word,
        _ => "*",
    });
    shown.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::receiver;

    #[test]
    fn of_a_path_only_our_own_words_are_logged() {
        for (sent, logged) in [
            ("/", "/"),
            (
                "/api/subscription/twilio-config",
                "/api/subscription/twilio-config",
            ),
            ("/api/subscription/ann@example.com", "/api/subscription/*"),
            ("/webhooks/voipms/sms/9f1c_SECRET", "/webhooks/voipms/sms/*"),
            ("/voice/+14155550123", "/voice/*"),
            ("/wp-admin/9f1c_SECRET//x", "/*/*//*"),
        ] {
            assert_eq!(path(sent), logged);
        }
    }

    #[test]
    fn every_path_of_a_provider_is_logged_whole_but_for_its_parameters() {
        for pattern in receiver::paths() {
            let words = pattern.split('/').map(|word| match word.starts_with(':') {
                true => "*",
                false => word,
            });
            assert_eq!(path(&pattern), words.collect::<Vec<_>>().join("/"));
        }
    }

    #[test]
    fn every_path_of_the_api_is_logged_whole_but_for_its_parameters() {
        let document: serde_json::Value =
            serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() > 40);
        for pattern in paths.keys() {
            let words = pattern.split('/').map(|word| match word.starts_with('{') {
                true => "*",
                false => word,
            });
            assert_eq!(path(pattern), words.collect::<Vec<_>>().join("/"));
        }
    }

    #[test]
    fn an_id_of_a_request_is_plain() {
        for plain in [
            "abc-1",
            "0198c0de-7c3a-7000-8000-000000000001",
            "01HZX3.7_b",
        ] {
            assert!(is_plain_id(plain), "{plain}");
        }
        let long = "a".repeat(65);
        for other in [
            "",
            "a b",
            "+14155550123",
            "14155550123",
            "ann@example.com",
            "sk_live_a",
            "eyJhbGc.eyJ",
            &long,
        ] {
            assert!(!is_plain_id(other), "{other}");
        }
    }
}
