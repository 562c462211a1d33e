//! `POST /v1/chat/completions`: a question whose answer is a JSON object.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde::Deserialize;
use serde_json::{Value, json};
use tollkeeper_jobs::telephony::analysis::{self, Message};

use super::Endpoint;
use crate::{
    clients::{ClientError, call},
    config::EndpointConfig,
};

const PROVIDER: &str = "analysis";

/// Says what a transcript comes to.
#[derive(Clone)]
pub struct Analyst {
    endpoint: Endpoint,
    /// It was asked for an answer by the schema, and said that it cannot do that.
    knows_no_schema: Arc<AtomicBool>,
}

impl Analyst {
    pub(super) fn new(config: &EndpointConfig) -> Analyst {
        Analyst {
            endpoint: Endpoint::new(PROVIDER, config),
            knows_no_schema: Arc::default(),
        }
    }

    /// The text of the answer, whatever it is: who asked has to look at it. Every call is paid for.
    ///
    /// A server that refuses the schema is asked for any JSON object; it has done nothing for the first request.
    pub async fn ask(&self, messages: &[Message]) -> Result<String, ClientError> {
        if self.knows_no_schema.load(Ordering::Relaxed) {
            return self.ask_for(messages, json!({"type": "json_object"})).await;
        }
        let by_schema = json!({
            "type": "json_schema",
            "json_schema": {"name": "call_analysis", "strict": true, "schema": analysis::schema()},
        });
        match self.ask_for(messages, by_schema).await {
            Err(ClientError::Refused {
                status: 400 | 422, ..
            }) => {
                let answer = self.ask_for(messages, json!({"type": "json_object"})).await;
                if answer.is_ok() {
                    self.knows_no_schema.store(true, Ordering::Relaxed);
                }
                answer
            }
            answer => answer,
        }
    }

    async fn ask_for(&self, messages: &[Message], format: Value) -> Result<String, ClientError> {
        let body = json!({
            "model": self.endpoint.model,
            "messages": messages,
            "response_format": format,
        });
        let answer = self.endpoint.send(self.endpoint.post().json(&body)).await;
        read(&answer.map_err(without_message)?.body)
    }
}

/// A server may quote what it was asked about.
fn without_message(error: ClientError) -> ClientError {
    match error {
        ClientError::Refused {
            provider,
            status,
            code,
            ..
        } => ClientError::Refused {
            provider,
            status,
            code,
            message: String::new(),
        },
        other => other,
    }
}

fn read(body: &[u8]) -> Result<String, ClientError> {
    #[derive(Deserialize)]
    struct Completion {
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        message: Said,
        #[serde(default)]
        finish_reason: Option<String>,
    }
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        content: Option<String>,
        #[serde(default)]
        refusal: Option<String>,
    }
    let completion: Completion = call::parse(PROVIDER, body)?;
    let no = |code: &str| ClientError::Refused {
        provider: PROVIDER,
        status: 200,
        code: code.to_owned(),
        message: String::new(),
    };
    let choice = completion.choices.into_iter().next();
    let Choice {
        message,
        finish_reason,
    } = choice.ok_or_else(|| no("no_answer"))?;
    if message.refusal.is_some() {
        return Err(no("refusal"));
    }
    if finish_reason.as_deref() == Some("content_filter") {
        return Err(no("content_filter"));
    }
    // One that was cut off (`length`) is no JSON, and found out as that.
    message.content.ok_or_else(|| no("no_answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(choice: Value, expected: Result<&str, &str>) {
        let body = json!({ "choices": [choice] }).to_string();
        let answer = read(body.as_bytes());
        let code = |error| match error {
            ClientError::Refused { code, .. } => code,
            other => other.to_string(),
        };
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(answer.map_err(code), expected);
    }

    #[test]
    fn an_answer_is_read_without_what_servers_leave_out() {
        check(json!({"message": {"content": "{}"}}), Ok("{}"));
        check(
            json!({"message": {"role": "assistant", "content": "{\"a", "refusal": null}, "finish_reason": "length"}),
            Ok("{\"a"),
        );
        check(
            json!({"message": {"content": null, "refusal": "I will not."}}),
            Err("refusal"),
        );
        check(
            json!({"message": {"content": "{}"}, "finish_reason": "content_filter"}),
            Err("content_filter"),
        );
        check(json!({"message": {}}), Err("no_answer"));
        assert!(read(b"{\"choices\":[]}").is_err());
    }
}
