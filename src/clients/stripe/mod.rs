//! Stripe's REST API v1, as far as this service uses it.

mod billing;

use chrono::{DateTime, Utc};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tollkeeper_jobs::{
    mask::mask,
    stripe::{CheckoutSession, Customer, Invoice, List, Subscription},
};

use super::{
    ClientError,
    breaker::Breaker,
    call::{self, Answer},
    found,
    pace::Pace,
};
pub use billing::{NewInvoice, NewItem, NewPrice};

use crate::config::StripeConfig;

/// As the journal and the turns name it.
pub const PROVIDER: &str = "stripe";
/// Answers come in this shape, whatever the account's default is.
const VERSION: &str = "2026-10-28.endive";
const PAGE: &str = "100";
/// Stripe takes at most so many types in one question.
const EVENT_KINDS_MAX: usize = 20;
/// A list that goes on longer is cut: the next run takes the rest.
const PAGES_MAX: usize = 100;

#[derive(Clone)]
pub struct Stripe {
    http: Client,
    breaker: Breaker,
    pace: Pace,
    base: String,
    key: SecretString,
}

/// An event as listed: its id and kind, and the whole of it as it came.
#[derive(Debug, Clone)]
pub struct ListedEvent {
    pub id: String,
    pub kind: String,
    pub body: Box<RawValue>,
}

impl Stripe {
    pub fn new(config: &StripeConfig, pace: Pace) -> Stripe {
        Stripe {
            http: call::http(),
            breaker: Breaker::default(),
            pace,
            base: config.api_base.trim_end_matches('/').to_owned(),
            key: config.secret_key.clone(),
        }
    }

    /// The same, for whom a person waits: it asks at once.
    pub fn at_once(mut self) -> Stripe {
        self.pace = self.pace.at_once();
        self
    }

    /// A subscription as it is now. None: Stripe knows no such id.
    pub async fn subscription(&self, id: &str) -> Result<Option<Subscription>, ClientError> {
        found(self.get(&["v1", "subscriptions", id], &[]).await)
    }

    /// Everything a customer subscribes or ever subscribed to. Empty: Stripe knows no such customer.
    pub async fn subscriptions_of(&self, customer: &str) -> Result<Vec<Subscription>, ClientError> {
        let query = [("customer", customer), ("status", "all"), ("limit", PAGE)];
        let page: Option<List<Subscription>> =
            found(self.get(&["v1", "subscriptions"], &query).await)?;
        Ok(page.map(|page| page.data).unwrap_or_default())
    }

    /// A customer; a deleted one is answered as deleted. None: Stripe knows no such id.
    pub async fn customer(&self, id: &str) -> Result<Option<Customer>, ClientError> {
        found(self.get(&["v1", "customers", id], &[]).await)
    }

    pub async fn invoice(&self, id: &str) -> Result<Option<Invoice>, ClientError> {
        found(self.get(&["v1", "invoices", id], &[]).await)
    }

    pub async fn checkout_session(&self, id: &str) -> Result<Option<CheckoutSession>, ClientError> {
        found(self.get(&["v1", "checkout", "sessions", id], &[]).await)
    }

    /// The events since then that some endpoint did not take, newest first.
    pub async fn undelivered_events(
        &self,
        kinds: &[&str],
        since: DateTime<Utc>,
    ) -> Result<Vec<ListedEvent>, ClientError> {
        let undelivered = &[("delivery_success", "false")];
        self.list_events(kinds, since, undelivered).await
    }

    /// All events since then, newest first, whether an endpoint took them or not.
    pub async fn events(
        &self,
        kinds: &[&str],
        since: DateTime<Utc>,
    ) -> Result<Vec<ListedEvent>, ClientError> {
        self.list_events(kinds, since, &[]).await
    }

    async fn list_events(
        &self,
        kinds: &[&str],
        since: DateTime<Utc>,
        filter: &[(&str, &str)],
    ) -> Result<Vec<ListedEvent>, ClientError> {
        let mut events = Vec::new();
        for kinds in kinds.chunks(EVENT_KINDS_MAX) {
            events.append(&mut self.events_of(kinds, since, filter).await?);
        }
        Ok(events)
    }

    async fn events_of(
        &self,
        kinds: &[&str],
        since: DateTime<Utc>,
        filter: &[(&str, &str)],
    ) -> Result<Vec<ListedEvent>, ClientError> {
        let since = since.timestamp().to_string();
        let mut events: Vec<ListedEvent> = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut query = vec![("created[gte]", since.as_str()), ("limit", PAGE)];
            query.extend(filter);
            query.extend(kinds.iter().map(|kind| ("types[]", *kind)));
            let last = events.last().map(|event| event.id.clone());
            if let Some(last) = &last {
                query.push(("starting_after", last));
            }
            let page: List<Box<RawValue>> = self.get(&["v1", "events"], &query).await?;
            for body in page.data {
                events.push(listed(body)?);
            }
            if !page.has_more || events.is_empty() {
                return Ok(events);
            }
        }
        let read = events.len();
        tracing::warn!(
            read,
            "stripe lists more events than are read at once: the oldest are left out"
        );
        Ok(events)
    }

    /// Send a form with an idempotency key.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: &[(&str, &str)],
        key: &str,
    ) -> Result<T, ClientError> {
        let request = self
            .http
            .post(self.url(path))
            .header("Idempotency-Key", key)
            .form(form);
        self.send(request).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.send(self.http.get(self.url(path)).query(query)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let request = request
            .bearer_auth(self.key.expose_secret())
            .header("Stripe-Version", VERSION);
        self.pace.wait(PROVIDER).await?;
        let answer = call::exchange(PROVIDER, &self.breaker, request).await?;
        tracing::debug!(
            status = answer.status,
            request_id = answer.header("request-id").map(mask),
            "stripe answered"
        );
        match answer.status {
            200..=299 => call::parse(PROVIDER, &answer.body),
            _ => Err(refusal(&answer)),
        }
    }

    fn url(&self, path: &[&str]) -> String {
        joined(&self.base, path)
    }
}

/// The base and the segments, each escaped: an id from outside cannot leave its place.
pub(in crate::clients) fn joined(base: &str, path: &[&str]) -> String {
    let mut url = base.to_owned();
    for segment in path {
        url.push('/');
        for byte in segment.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    url.push(char::from(byte));
                }
                _ => url.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    url
}

fn listed(body: Box<RawValue>) -> Result<ListedEvent, ClientError> {
    #[derive(Deserialize)]
    struct Head {
        id: String,
        #[serde(rename = "type")]
        kind: String,
    }
    let head: Head = call::parse(PROVIDER, body.get().as_bytes())?;
    Ok(ListedEvent {
        id: head.id,
        kind: head.kind,
        body,
    })
}

/// What a status that is no success means. `Stripe-Should-Retry` overrules it, except that a 429 has
/// done nothing whatever else is said.
fn refusal(answer: &Answer) -> ClientError {
    #[derive(Deserialize, Default)]
    struct Body {
        #[serde(default)]
        error: Detail,
    }
    #[derive(Deserialize, Default)]
    struct Detail {
        code: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
        message: Option<String>,
    }
    let status = answer.status;
    let should_retry = answer.header("stripe-should-retry");
    let try_later = ClientError::TryLater {
        provider: PROVIDER,
        status,
        after: answer.retry_after(),
    };
    match (status, should_retry) {
        (401 | 403, _) => return call::key_refused(PROVIDER, status, "", answer.retry_after()),
        (429, _) => return try_later,
        // Not stored under the key: the same one may be used again without a look.
        (500.., Some("true")) => {
            return call::open(PROVIDER, None, format!("status {status}, to be repeated"));
        }
        (500.., _) => return call::open(PROVIDER, Some(status), format!("status {status}")),
        (409, Some("false")) => {}
        (409, _) | (400..=499, Some("true")) => return try_later,
        _ => {}
    }
    let detail = serde_json::from_slice::<Body>(&answer.body)
        .unwrap_or_default()
        .error;
    ClientError::Refused {
        provider: PROVIDER,
        status,
        code: mask(&detail.code.or(detail.kind).unwrap_or_default()),
        message: mask(&detail.message.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn check(status: u16, should_retry: Option<&str>, expected: &str) {
        let mut headers = reqwest::header::HeaderMap::new();
        if let Some(value) = should_retry {
            headers.insert("stripe-should-retry", value.parse().unwrap());
        }
        let answer = Answer {
            status,
            headers,
            body: br#"{"error":{"type":"card_error","code":"card_declined","message":"no"}}"#
                .to_vec(),
        };
        let kind = match refusal(&answer) {
            ClientError::Unreachable { .. } | ClientError::Crowded { .. } => "not sent",
            ClientError::TryLater { .. } => "later",
            ClientError::Unknown { status: None, .. } => "unknown, same key",
            ClientError::Unknown { .. } => "unknown",
            ClientError::Refused { code, .. } => {
                assert_eq!(code, "card_declined");
                "refused"
            }
        };
        assert_eq!(kind, expected, "{status} {should_retry:?}");
    }

    #[test]
    fn a_status_says_what_to_do_next() {
        check(400, None, "refused");
        check(401, None, "later");
        check(403, None, "later");
        check(402, None, "refused");
        check(404, None, "refused");
        check(409, None, "later");
        check(409, Some("true"), "later");
        check(409, Some("false"), "refused");
        check(400, Some("true"), "later");
        check(429, None, "later");
        check(429, Some("false"), "later");
        check(500, None, "unknown");
        check(503, Some("false"), "unknown");
        check(500, Some("true"), "unknown, same key");
        check(302, None, "refused");
    }

    #[test]
    fn a_key_that_is_refused_is_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            for status in [401, 403, 404, 429, 500] {
                check(
                    status,
                    None,
                    match status {
                        404 => "refused",
                        500 => "unknown",
                        _ => "later",
                    },
                );
            }
        });
        let counted = r#"tollkeeper_provider_keys_refused_total{provider="stripe"} 2"#;
        let figures = recorder.handle().render();
        assert!(figures.contains(counted), "{figures}");
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_the_path() {
        assert_eq!(
            joined("http://stripe", &["v1", "customers", "../x?y#z"]),
            "http://stripe/v1/customers/..%2Fx%3Fy%23z"
        );
    }
}
