//! What goes over the wire, stripped of HTTP: a provider takes a [`Request`] and returns a [`Reply`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    Stripe,
    Twilio,
    Speech,
    Voipms,
}

/// One request, read to its end.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub provider: Provider,
    /// In capitals.
    pub method: String,
    /// Below the provider's prefix: `/v1/customers`, `/2010-04-01/Accounts.json`. VoIP.ms has one path: here it is its
    /// method, `/sendSMS`.
    pub path: String,
    /// The query's and the form's, in their order.
    pub params: Params,
    /// The body is a form, or there is none.
    pub is_form: bool,
    pub content_type: Option<String>,
    /// Where it is no form.
    pub body: Vec<u8>,
    pub authorization: Option<String>,
    pub idempotency_key: Option<String>,
    pub stripe_version: Option<String>,
}

impl Request {
    /// Whether the provider keeps it apart from a mere look.
    pub fn is_write(&self) -> bool {
        match self.provider {
            Provider::Voipms => !self.path.starts_with("/get") && !self.path.starts_with("/search"),
            _ => self.method != "GET",
        }
    }

    /// Two requests with the same fingerprint ask for the same thing, whatever the order of their parameters.
    pub fn fingerprint(&self) -> String {
        let mut pairs = self.params.0.clone();
        pairs.sort();
        let mut hash = Sha256::new();
        for part in [&self.method, &self.path] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(&self.body);
        for (name, value) in &pairs {
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update(value.as_bytes());
            hash.update([0]);
        }
        hex::encode(hash.finalize())
    }
}

/// Form parameters: flat names as sent, `items[0][price]` among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params(pub Vec<(String, String)>);

impl Params {
    /// Append an encoded query or form.
    pub fn extend_encoded(&mut self, encoded: &[u8]) {
        self.0.extend(form_urlencoded::parse(encoded).into_owned());
    }

    /// The last value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The values of `name[]`, or of `name[0]`, `name[1]`, ….
    pub fn list(&self, name: &str) -> Vec<&str> {
        let is_element = |key: &str| {
            key.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'))
                .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let elements = self.0.iter().filter(|(key, _)| is_element(key));
        elements.map(|(_, value)| value.as_str()).collect()
    }

    /// The entries of `name[key]`.
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let inner = |key: &str| {
            let rest = key.strip_prefix(name)?;
            Some(rest.strip_prefix('[')?.strip_suffix(']')?.to_owned())
        };
        let entries = self.0.iter();
        entries
            .filter_map(|(key, value)| Some((inner(key)?, value.clone())))
            .collect()
    }
}

/// What a provider answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// Its type and its bytes, where it is no JSON.
    pub media: Option<(&'static str, Vec<u8>)>,
    /// The provider began to carry it out; Stripe keeps such an answer under the idempotency key.
    pub is_executed: bool,
}

impl Reply {
    pub fn done(status: u16, body: Value) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: Some(body),
            media: None,
            is_executed: true,
        }
    }

    /// Done, and nothing to show for it.
    pub fn empty(status: u16) -> Reply {
        Reply {
            body: None,
            ..Reply::done(status, Value::Null)
        }
    }

    /// A file.
    pub fn media(kind: &'static str, bytes: Vec<u8>) -> Reply {
        Reply {
            media: Some((kind, bytes)),
            ..Reply::empty(200)
        }
    }

    /// Turned down before anything was carried out.
    pub fn refused(status: u16, body: Value) -> Reply {
        Reply {
            is_executed: false,
            ..Reply::done(status, body)
        }
    }

    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}
