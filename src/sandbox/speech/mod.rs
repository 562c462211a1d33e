//! An endpoint of OpenAI's kind for speech and analysis: it hears what the sandbox's own recordings say, and analyses by
//! a table of words. Like OpenAI, or like the smaller servers people run themselves.

mod form;
mod table;

use std::collections::VecDeque;

use serde_json::{Value, json};

use self::form::Form;
use super::{
    twilio::Twilio,
    wire::{Reply, Request},
};

/// No request may be larger.
const BODY_MAX: usize = 26_214_400;
/// What every server of this kind takes.
const FIELDS: [&str; 4] = ["file", "model", "language", "response_format"];

/// How it differs from OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// It asks for no key, its errors are texts, and it says nothing of usage.
    pub is_plain: bool,
    /// It refuses to answer by a schema.
    pub knows_no_schema: bool,
}

pub(super) struct Speech {
    api_key: String,
    pub manner: Manner,
    /// What it says next when it is asked for an analysis, whatever it is asked.
    pub next_analyses: VecDeque<String>,
}

impl Speech {
    pub fn new(api_key: &str) -> Speech {
        Speech {
            api_key: api_key.to_owned(),
            manner: Manner::default(),
            next_analyses: VecDeque::new(),
        }
    }

    pub fn answer(&mut self, request: &Request, twilio: &Twilio) -> Reply {
        let bearer = format!("Bearer {}", self.api_key);
        if !self.manner.is_plain && request.authorization.as_deref() != Some(&*bearer) {
            return self.error(401, "invalid_api_key", "Incorrect API key provided");
        }
        if request.body.len() > BODY_MAX {
            let said = format!(
                "Maximum content size limit ({BODY_MAX}) exceeded ({} bytes read)",
                request.body.len()
            );
            return self.error(413, "server_error", &said);
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/audio/transcriptions" | "/inference") => self.transcribe(request, twilio),
            ("POST", "/v1/chat/completions") => self.chat(request),
            _ => Reply::refused(404, json!({"detail": "Not Found"})),
        }
    }

    fn transcribe(&self, request: &Request, twilio: &Twilio) -> Reply {
        let Some(form) = Form::read(request.content_type.as_deref(), &request.body) else {
            return self.error(400, "invalid_request_error", "the body is no form");
        };
        if let Some(name) = form.names().find(|name| !FIELDS.contains(name)) {
            let said = format!("Unrecognized request argument supplied: {name}");
            return self.error(400, "invalid_request_error", &said);
        }
        let is_named = form.file_name().is_some_and(|name| name.ends_with(".mp3"));
        let is_json = form.text("response_format") == Some("json");
        let heard = form.bytes("file").and_then(|file| twilio.heard_in(file));
        match heard.filter(|_| is_named && is_json && form.text("model").is_some()) {
            Some(text) if self.manner.is_plain => Reply::done(200, json!({"text": text})),
            Some(text) => {
                let usage = json!({"type": "duration", "seconds": 1});
                Reply::done(200, json!({"text": text, "usage": usage}))
            }
            None => self.error(400, "invalid_request_error", "Invalid file format."),
        }
    }

    fn chat(&mut self, request: &Request) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let by_schema = body["response_format"]["type"] == "json_schema";
        if by_schema && self.manner.knows_no_schema {
            let said = "response_format of type json_schema is not supported";
            return self.error(400, "invalid_request_error", said);
        }
        let asked = body["messages"][1]["content"].as_str().unwrap_or_default();
        let asked: Value = serde_json::from_str(asked).unwrap_or_default();
        let Some(transcript) = asked["transcript"].as_str() else {
            return self.error(400, "invalid_request_error", "there is no transcript");
        };
        let scripted = self.next_analyses.pop_front();
        let content = scripted.unwrap_or_else(|| table::analysis(transcript).to_string());
        let message = json!({"role": "assistant", "content": content});
        let mut answer = json!({
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        });
        if !self.manner.is_plain {
            answer["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 1});
        }
        Reply::done(200, answer)
    }

    /// Nothing was carried out.
    pub fn error(&self, status: u16, code: &str, message: &str) -> Reply {
        let error = match self.manner.is_plain {
            true => json!(message),
            false => json!({"message": message, "type": code, "param": null, "code": code}),
        };
        Reply::refused(status, json!({ "error": error }))
    }
}
