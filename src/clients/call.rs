//! One HTTP exchange with a provider, and what its failures mean.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, redirect::Policy, retry};

use super::{ClientError, breaker::Breaker};
use crate::clock::Clock;

/// How long one exchange may take, answer included. A lease is renewed meanwhile.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer that is looked at is larger; a list page of 1,000 numbers is about 2 MiB.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// An answer that was read to its end.
pub(super) struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// In seconds; the form with a date is used by no provider here.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(Duration::from_secs(3600)))
    }
}

/// An HTTP client with our limits.
pub(super) fn http() -> Client {
    builder()
        .timeout(TIMEOUT)
        // Of an answer that may take longer in all: no part of it may.
        .read_timeout(TIMEOUT)
        .build()
        .expect("a client without files or proxies of its own always builds")
}

/// What every client has in common. The first one installs the process' TLS provider.
pub(super) fn builder() -> ClientBuilder {
    // Installed already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none())
        .retry(retry::never())
        .user_agent(concat!("tollkeeper/", env!("CARGO_PKG_VERSION")))
}

/// Send, and read the whole answer, unless the provider has not answered for a while.
pub(super) async fn exchange(
    provider: &'static str,
    breaker: &Breaker,
    request: RequestBuilder,
) -> Result<Answer, ClientError> {
    admit(provider, breaker)?;
    let answer = async {
        let response = sent(provider, request).await?;
        answer(provider, response).await
    };
    let answer = answer.await;
    note(breaker, answer.as_ref().ok().map(|answer| answer.status));
    answer
}

/// Send, and read nothing yet but what stands before the body.
pub(super) async fn begin(
    provider: &'static str,
    breaker: &Breaker,
    request: RequestBuilder,
) -> Result<Response, ClientError> {
    admit(provider, breaker)?;
    let response = sent(provider, request).await;
    note(
        breaker,
        response
            .as_ref()
            .ok()
            .map(|response| response.status().as_u16()),
    );
    response
}

/// Read an answer that has begun to its end.
pub(super) async fn answer(
    provider: &'static str,
    response: Response,
) -> Result<Answer, ClientError> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = read(provider, response).await?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// Our key is no good there, which is no fault of this request: a rotation must not kill every job there is. They all wait,
/// so it is counted and told, or nobody would hear of it. `word` is the provider's, where it has one.
pub(super) fn key_refused(
    provider: &'static str,
    status: u16,
    word: &str,
    after: Option<Duration>,
) -> ClientError {
    metrics::counter!("tollkeeper_provider_keys_refused_total", "provider" => provider)
        .increment(1);
    tracing::warn!(provider, status, word, "a provider refuses our key");
    ClientError::TryLater {
        provider,
        status,
        after,
    }
}

fn admit(provider: &'static str, breaker: &Breaker) -> Result<(), ClientError> {
    if breaker.admits(Clock::instant()) {
        return Ok(());
    }
    let why = "it has not answered for a while; it is asked again soon".into();
    Err(ClientError::Unreachable { provider, why })
}

fn note(breaker: &Breaker, status: Option<u16>) {
    match status {
        Some(..500) => breaker.answered(),
        _ => breaker.silent(Clock::instant()),
    }
}

async fn sent(provider: &'static str, request: RequestBuilder) -> Result<Response, ClientError> {
    request.send().await.map_err(|error| lost(provider, error))
}

async fn read(provider: &'static str, mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| lost(provider, error))?
    {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(open(provider, None, "its answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Read an answer's JSON. One that cannot be read leaves the outcome open: something was done.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    provider: &'static str,
    body: &[u8],
) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| {
        // Only where, not what: the answer may hold a secret.
        let why = format!(
            "its answer cannot be read at line {}, column {}",
            error.line(),
            error.column()
        );
        open(provider, None, why)
    })
}

pub(super) fn open(
    provider: &'static str,
    status: Option<u16>,
    why: impl Into<String>,
) -> ClientError {
    ClientError::Unknown {
        provider,
        status,
        why: why.into(),
    }
}

/// The exchange broke off. Only a connection that was never made is sure to have done nothing. The
/// URL is left out: it may name a number.
pub(super) fn lost(provider: &'static str, error: reqwest::Error) -> ClientError {
    if error.is_connect() || error.is_builder() {
        return ClientError::Unreachable {
            provider,
            why: if error.is_timeout() {
                "the connection timed out".into()
            } else {
                "the connection failed".into()
            },
        };
    }
    let why = if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection broke off"
    };
    open(provider, None, why)
}
