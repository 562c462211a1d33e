//! Endpoints of OpenAI's kind: one that writes down what is said, one that analyses it. OpenAI's own, or a server of
//! one's own (whisper.cpp, vLLM, Speaches), which differ in what they leave out.
//!
//! Only what every one of them takes is sent, and only what every one of them answers is read.

mod chat;
mod transcription;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollkeeper_jobs::mask::mask;

pub use chat::Analyst;
pub use transcription::Transcriber;

use super::{
    ClientError,
    breaker::Breaker,
    call::{self, Answer},
};
use crate::config::{EndpointConfig, SpeechConfig};

/// What is told of a refusal, in bytes.
const MESSAGE_MAX: usize = 200;

/// One for each process; clones share it.
#[derive(Clone)]
pub struct Speech {
    /// None: nothing is set.
    pub transcriber: Option<Transcriber>,
    pub analyst: Option<Analyst>,
    places: Arc<Semaphore>,
}

/// Held while an endpoint is asked.
pub struct Place(
    #[expect(dead_code, reason = "its end gives the place back")] OwnedSemaphorePermit,
);

impl Speech {
    /// `slots` is how many jobs of the lane run at once: half of them may wait for an endpoint, which takes minutes, and
    /// the other half is everybody else's.
    pub fn new(config: &SpeechConfig, slots: usize) -> Speech {
        let transcriber = config.transcription.as_ref();
        let language = config.language.clone();
        Speech {
            transcriber: transcriber.map(|endpoint| Transcriber::new(endpoint, language)),
            analyst: config.analysis.as_ref().map(Analyst::new),
            places: Arc::new(Semaphore::new((slots / 2).max(1))),
        }
    }

    /// A place, held until it is dropped. None: as many as may be are asking, and this one waits in the queue.
    pub fn admit(&self) -> Option<Place> {
        self.places.clone().try_acquire_owned().ok().map(Place)
    }
}

/// Where to ask, and as whom.
#[derive(Clone)]
struct Endpoint {
    provider: &'static str,
    /// Made for the first request: most processes make none.
    client: Arc<OnceLock<Client>>,
    breaker: Breaker,
    url: String,
    api_key: SecretString,
    model: String,
    timeout: Duration,
}

impl Endpoint {
    fn new(provider: &'static str, config: &EndpointConfig) -> Endpoint {
        Endpoint {
            provider,
            client: Arc::default(),
            breaker: Breaker::default(),
            url: config.url.clone(),
            api_key: config.api_key.clone(),
            model: config.model.clone(),
            timeout: config.timeout,
        }
    }

    fn post(&self) -> RequestBuilder {
        let client = self.client.get_or_init(|| {
            let client = call::builder().timeout(self.timeout).build();
            client.expect("a client without files or proxies of its own always builds")
        });
        let request = client.post(&self.url);
        match self.api_key.expose_secret() {
            "" => request,
            key => request.bearer_auth(key),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let answer = call::exchange(self.provider, &self.breaker, request).await?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(refusal(self.provider, &answer)),
        }
    }
}

/// What a status that is no success means: `error` is an object or a text, and may be missing.
fn refusal(provider: &'static str, answer: &Answer) -> ClientError {
    let status = answer.status;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = &body["error"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let code = text(&error["code"]).or_else(|| text(&error["type"]));
    let code = code.unwrap_or_default();
    match status {
        // Credit that is spent does not come back by waiting a little.
        429 if code != "insufficient_quota" => {
            return ClientError::TryLater {
                provider,
                status,
                after: answer.retry_after(),
            };
        }
        408 | 409 | 500.. => return call::open(provider, Some(status), format!("status {status}")),
        _ => {}
    }
    let message = text(&error["message"]).or_else(|| text(error));
    let mut message = mask(&message.unwrap_or_default());
    message.truncate(message.floor_char_boundary(MESSAGE_MAX));
    ClientError::Refused {
        provider,
        status,
        code,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> ClientError {
        let answer = Answer {
            status,
            headers: Default::default(),
            body: body.as_bytes().to_vec(),
        };
        refusal("speech", &answer)
    }

    #[test]
    fn an_error_is_an_object_a_text_or_nothing() {
        for (body, code, message) in [
            (
                r#"{"error":{"message":"Invalid file format.","type":"invalid_request_error","param":null,"code":null}}"#,
                "invalid_request_error",
                "Invalid file format.",
            ),
            (
                r#"{"error":{"message":"no such model","code":404,"type":"NotFoundError"}}"#,
                "NotFoundError",
                "no such model",
            ),
            (
                r#"{"error":"failed to read audio data"}"#,
                "",
                "failed to read audio data",
            ),
            (r#"{"detail":"Not Found"}"#, "", ""),
            ("<html>", "", ""),
        ] {
            let expected = ClientError::Refused {
                provider: "speech",
                status: 400,
                code: code.into(),
                message: message.into(),
            };
            assert_eq!(refused(400, body), expected);
        }
    }

    #[test]
    fn too_many_requests_are_repeated_later_and_spent_credit_is_a_no() {
        let of_code = |code: &str| refused(429, &format!(r#"{{"error":{{"code":"{code}"}}}}"#));
        assert!(matches!(
            of_code("rate_limit_exceeded"),
            ClientError::TryLater { .. }
        ));
        assert!(matches!(
            of_code("insufficient_quota"),
            ClientError::Refused { .. }
        ));
        assert!(matches!(refused(429, ""), ClientError::TryLater { .. }));
        assert!(matches!(refused(503, ""), ClientError::Unknown { .. }));
    }

    #[test]
    fn no_key_is_told() {
        let said = refused(
            401,
            r#"{"error":{"message":"Incorrect API key: sk_live_abcdefghijklmnop"}}"#,
        );
        assert!(!said.to_string().contains("abcdefghijklmnop"), "{said}");
    }
}
