//! VoIP.ms' message callback. It is not signed: a long secret token in the URL and the sender's
//! address stand in, and nothing billable follows from it: its job looks for the message at VoIP.ms.
//!
//! The token is taken out of everything that is stored or logged. The address is the connection's:
//! behind a proxy the list must be left empty and be held there.

use std::sync::Arc;

use poem::{Endpoint, Request, Response, Result, Route, get, http::StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tollkeeper_jobs::{HandleVoipmsCallback, NewJob};
use uuid::Uuid;

use super::{Delivery, Receiver, count, count_stored, fingerprint, later, text};
use crate::{
    db::webhooks::{NewWebhook, Provider, State},
    signature::is_same,
};

/// With the token behind it as one more segment, or in the query.
pub const PATHS: [&str; 2] = ["/api/phone/webhooks/voipms/sms", "/webhooks/voipms/sms"];

/// VoIP.ms' part of the routes.
pub fn routes(route: Route, receiver: &Arc<Receiver>) -> Route {
    paths().fold(route, |route, path| {
        let endpoint = Arc::new(Message(receiver.clone()));
        route.at(path, get(endpoint.clone()).post(endpoint))
    })
}

/// Each path, in the form of the router.
pub fn paths() -> impl Iterator<Item = String> {
    PATHS
        .into_iter()
        .flat_map(|path| [path.to_owned(), format!("{path}/:token")])
}

struct Message(Arc<Receiver>);

impl Endpoint for Message {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let body = request.take_body().into_vec().await?;
        let fields = Fields::read(&request, &body);
        let Some(endpoint) = self.endpoint_of(&request, &fields) else {
            count(Provider::Voipms, "forbidden");
            return Ok(text(StatusCode::FORBIDDEN, "Forbidden"));
        };
        let Some(event_key) = fields.event_key() else {
            count(Provider::Voipms, "unreadable");
            return Ok(text(StatusCode::BAD_REQUEST, "from and to are missing"));
        };
        let webhook = NewWebhook {
            id: Uuid::now_v7(),
            provider: Provider::Voipms,
            // Ids are an account's own, and the token says which account.
            event_key: format!("{endpoint}:{event_key}"),
            kind: "incoming_message".to_owned(),
            endpoint,
            headers: json!({ "method": request.method().as_str() }),
            body: fields.without_token(),
            state: State::Stored,
        };
        let webhook_id = webhook.id;
        let delivery = Delivery {
            webhook,
            job: Some(NewJob::of(&HandleVoipmsCallback { webhook_id })),
            customer_ref: None,
        };
        Ok(match self.0.store.put(delivery).await {
            Ok(stored) => {
                count_stored(Provider::Voipms, stored);
                // Exactly this, or the message comes again every half hour.
                text(StatusCode::OK, "ok")
            }
            Err(error) => later(Provider::Voipms, error),
        })
    }
}

impl Message {
    /// The fingerprint of the token that opened the door; none keeps it shut.
    fn endpoint_of(&self, request: &Request, fields: &Fields) -> Option<String> {
        let config = &self.0.ctx.config.voipms;
        let from = request.remote_addr().as_socket_addr()?.ip().to_canonical();
        let is_allowed =
            config.callback_addresses.is_empty() || config.callback_addresses.contains(&from);
        let in_path = request.path_params::<String>().ok();
        let given = in_path.as_deref().or(fields.get("token"))?;
        let token = config
            .callback_tokens
            .iter()
            .map(|token| token.expose_secret())
            .find(|token| !token.is_empty() && is_same(token, given))?;
        is_allowed.then(|| fingerprint(token))
    }
}

/// What was sent, from the query and from a form or a JSON object.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(request: &Request, body: &[u8]) -> Fields {
        let query = request.uri().query().unwrap_or_default();
        let mut fields: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        match serde_json::from_slice::<Map<String, Value>>(body) {
            Ok(object) => fields.extend(object.into_iter().map(|(name, value)| {
                let value = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (name, value)
            })),
            Err(_) => fields.extend(form_urlencoded::parse(body).into_owned()),
        }
        Fields(fields)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The provider's id, where it sends one; otherwise what makes the message this message.
    fn event_key(&self) -> Option<String> {
        let (from, to) = (self.get("from")?, self.get("to")?);
        let is_id = |id: &&str| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if let Some(id) = self.get("id").filter(is_id) {
            // Messages with pictures are counted apart.
            let kind = if self.get("media").is_some() {
                "mms"
            } else {
                "sms"
            };
            return Some(format!("{kind}:{id}"));
        }
        let mut digest = Sha256::new();
        for part in [
            from,
            to,
            self.get("ts").unwrap_or_default(),
            self.get("message").unwrap_or_default(),
        ] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Some(format!("sha256:{}", hex::encode(digest.finalize())))
    }

    fn without_token(&self) -> Vec<u8> {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.0.iter().filter(|(name, _)| name != "token"))
            .finish()
            .into_bytes()
    }
}
