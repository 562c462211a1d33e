//! A request of Twilio as it came, and the check of its signature.

use poem::{Request, Result, http::Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tollkeeper_jobs::{mask::mask, telephony::fields::is_sid};

use crate::signature::{
    SignatureError,
    twilio::{self as signature, Content, Signed},
};

/// What came, before it is believed.
pub struct Incoming {
    /// Configured scheme and host, raw path, raw query.
    pub url: String,
    header: String,
    settings: Option<String>,
    /// What of the request is kept beside its body.
    pub headers: Value,
    /// Named by the path.
    pub user_id: Option<String>,
    /// The form, or a GET's query; empty for any other body.
    pub params: Vec<(String, String)>,
    is_form: bool,
    query: Option<String>,
    /// Byte for byte.
    body: Vec<u8>,
}

impl Incoming {
    /// Take the request apart; nothing of it is believed yet.
    pub async fn read(mut request: Request, base_url: &str) -> Result<Incoming> {
        let body = request.take_body().into_vec().await?;
        let target = request
            .original_uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let header = |name: &str| request.header(name).map(str::to_owned);
        let is_get = request.method() == Method::GET;
        let kind = header("content-type").unwrap_or_default();
        let is_form = !is_get && kind.starts_with("application/x-www-form-urlencoded");
        let query = target.split_once('?').map(|(_, query)| query);
        let encoded = match (is_get, is_form) {
            (true, _) => query.unwrap_or_default().as_bytes(),
            (_, true) => &body,
            _ => b"",
        };
        let path = target.split('?').next().unwrap_or(target);
        let user_id = request.path_params::<String>().ok();
        Ok(Incoming {
            url: format!("{base_url}{target}"),
            query: query.filter(|_| is_get).map(str::to_owned),
            header: header("x-twilio-signature").unwrap_or_default(),
            settings: header("x-twilio-webhooks-signature-settings"),
            headers: json!({
                // The signature does not cover headers: whoever repeats a request chooses them.
                "content-type": mask(&kind),
                "i-twilio-idempotency-token": header("i-twilio-idempotency-token").map(|token| mask(&token)),
                "method": request.method().as_str(),
                // The query of a GET is what others send as a body, and is kept like one.
                "target": if is_get { path } else { target },
                "user": &user_id,
            }),
            user_id,
            params: form_urlencoded::parse(encoded).into_owned().collect(),
            is_form,
            body,
        })
    }

    /// Whether it carries a signature at all, good or bad.
    pub fn is_signed(&self) -> bool {
        !self.header.is_empty()
    }

    /// Whether one of these tokens signed it.
    pub fn verify(&self, tokens: &[SecretString]) -> Result<(), SignatureError> {
        let content = if self.is_form {
            Content::Form(&self.params)
        } else if self.body.is_empty() {
            Content::None
        } else {
            Content::Raw(&self.body)
        };
        let signed = Signed {
            header: &self.header,
            settings: self.settings.as_deref(),
            url: &self.url,
            content,
        };
        let tokens: Vec<&str> = tokens.iter().map(|token| token.expose_secret()).collect();
        signature::verify(&signed, &tokens).map(|_| ())
    }

    /// What it says, byte for byte: its body, or the query of a GET.
    pub fn said(&self) -> &[u8] {
        match &self.query {
            Some(query) => query.as_bytes(),
            None => &self.body,
        }
    }

    /// A parameter of the form or query.
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whose token to check with. Trusted only once that token has verified the request.
    pub fn account_sid(&self) -> Option<String> {
        let named = self.param("AccountSid").map(str::to_owned);
        let named = named.or_else(|| account_of_events(&self.body))?;
        is_sid(&named, &["AC"]).then_some(named)
    }
}

/// Event streams send a JSON list, every event of which names the account.
fn account_of_events(body: &[u8]) -> Option<String> {
    let events: Value = serde_json::from_slice(body).ok()?;
    let first = events.get(0).unwrap_or(&events);
    let named = first
        .pointer("/data/account_sid")
        .or_else(|| first.get("AccountSid"))?;
    Some(named.as_str()?.to_owned())
}
