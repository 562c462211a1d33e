//! Twilio's callbacks, under every URL that a number or a call was ever given.
//!
//! They are verified, stored whole (state `held`) and answered: questions with TwiML, reports with
//! `OK`. The public URL is what was signed, so it is rebuilt from our own setting, never from `Host`.

use std::{sync::Arc, time::Duration};

use poem::{Endpoint, Request, Response, Result, Route, get, http::StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tollkeeper_jobs::telephony::callback::{self, Address, Callback, is_sid};
use uuid::Uuid;

use super::{Delivery, NotStored, Receiver, Stored, answers, count, count_stored, later, text};
use crate::{
    db::{
        subaccounts,
        webhooks::{NewWebhook, Provider, State},
    },
    sealed::Place,
    signature::{
        SignatureError,
        twilio::{self as signature, Content, Signed},
    },
};

/// Every prefix under which a URL of the table is, or was, handed out.
pub const PREFIXES: [&str; 4] = [
    "/api/twilio",
    "/twilio",
    "/webhooks/twilio",
    "/api/phone/webhooks/twilio",
];

/// Under each prefix.
pub const PATHS: [(&str, Address); 22] = [
    ("/voice", Address::Call),
    ("/voice/:user_id", Address::Call),
    ("/voice/fallback/:user_id", Address::CallFallback),
    ("/voice-fallback", Address::CallFallback),
    ("/voice-webhook", Address::Call),
    ("/sms", Address::Message),
    ("/sms/:user_id", Address::Message),
    ("/sms/fallback/:user_id", Address::Message),
    ("/sms-webhook", Address::Message),
    ("/recording", Address::Action),
    ("/record-done", Address::Action),
    ("/voicemail-recording", Address::Action),
    ("/dial-done", Address::Action),
    ("/recording-status", Address::Report),
    ("/status", Address::Report),
    ("/status/:user_id", Address::Report),
    ("/call-status", Address::Report),
    ("/sms-status", Address::Report),
    ("/status-callback", Address::Report),
    ("/number-status", Address::Report),
    ("/usage-trigger", Address::Report),
    ("/events", Address::Report),
];

/// Without a prefix.
pub const BARE_PATHS: [(&str, Address); 5] = [
    ("/voice/inbound", Address::Call),
    ("/voice/:user_id", Address::Call),
    ("/sms/inbound", Address::Message),
    ("/sms/:user_id", Address::Message),
    ("/phone/status/:user_id", Address::Report),
];

/// A caller hears silence until we answer; the provider itself would wait for fifteen seconds.
const PATIENCE: Duration = Duration::from_millis(1800);

pub fn routes(route: Route, receiver: &Arc<Receiver>) -> Route {
    let prefixed = PREFIXES.into_iter().flat_map(|prefix| {
        PATHS
            .into_iter()
            .map(move |(path, address)| (prefix.to_owned() + path, address))
    });
    let bare = BARE_PATHS
        .into_iter()
        .map(|(path, address)| (path.to_owned(), address));
    prefixed.chain(bare).fold(route, |route, (path, address)| {
        let endpoint = Arc::new(Called {
            receiver: receiver.clone(),
            address,
        });
        route.at(path, get(endpoint.clone()).post(endpoint))
    })
}

struct Called {
    receiver: Arc<Receiver>,
    address: Address,
}

/// What came, before it is believed.
struct Incoming {
    /// Configured scheme and host, raw path, raw query.
    url: String,
    header: String,
    settings: Option<String>,
    headers: Value,
    user_id: Option<String>,
    /// The form, or a GET's query; empty for any other body.
    params: Vec<(String, String)>,
    is_form: bool,
    body: Vec<u8>,
}

enum Fault {
    /// Not from Twilio, or for an account that is not ours.
    Forbidden(&'static str),
    /// The URL names another user than the account's.
    OtherUser,
    NotStored(NotStored),
}

impl Endpoint for Called {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let ctx = &self.receiver.ctx;
        let incoming = Incoming::read(request, &ctx.config.public_base_url).await?;
        let callback = callback::read(self.address, &incoming.params);
        let answer = callback.answer;
        let deadline = if answer.is_heard() {
            PATIENCE.min(ctx.config.http.store_deadline)
        } else {
            ctx.config.http.store_deadline
        };
        let outcome = timeout(deadline, self.receiver.take(incoming, callback))
            .await
            .unwrap_or(Err(Fault::NotStored(NotStored::TooSlow)));
        Ok(match outcome {
            Ok(stored) => {
                count_stored(Provider::Twilio, stored);
                answers::to(answer, &ctx.config)
            }
            Err(Fault::Forbidden(why)) => {
                count(Provider::Twilio, why);
                text(StatusCode::FORBIDDEN, "Forbidden")
            }
            Err(Fault::OtherUser) => {
                count(Provider::Twilio, "other_user");
                answers::not_ours(answer)
            }
            Err(Fault::NotStored(error)) if answer.is_heard() => {
                count(Provider::Twilio, error.as_str());
                answers::fixed_apology()
            }
            Err(Fault::NotStored(error)) => later(Provider::Twilio, error),
        })
    }
}

impl Incoming {
    async fn read(mut request: Request, base_url: &str) -> Result<Incoming> {
        let body = request.take_body().into_vec().await?;
        let target = request
            .original_uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let header = |name: &str| request.header(name).map(str::to_owned);
        let is_get = request.method() == poem::http::Method::GET;
        let kind = header("content-type").unwrap_or_default();
        let is_form = !is_get && kind.starts_with("application/x-www-form-urlencoded");
        let query = target.split_once('?').map(|(_, query)| query);
        let encoded = match (is_get, is_form) {
            (true, _) => query.unwrap_or_default().as_bytes(),
            (_, true) => &body,
            _ => b"",
        };
        Ok(Incoming {
            url: format!("{base_url}{target}"),
            header: header("x-twilio-signature").unwrap_or_default(),
            settings: header("x-twilio-webhooks-signature-settings"),
            headers: json!({
                "content-type": kind,
                "i-twilio-idempotency-token": header("i-twilio-idempotency-token"),
                "method": request.method().as_str(),
                "target": target,
            }),
            user_id: request.path_params::<String>().ok(),
            params: form_urlencoded::parse(encoded).into_owned().collect(),
            is_form,
            body,
        })
    }

    fn verify(&self, tokens: &[SecretString]) -> Result<(), SignatureError> {
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

    /// Whose token to check with. Trusted only once that token has verified the request.
    fn account_sid(&self) -> Option<String> {
        let named = self
            .params
            .iter()
            .find(|(name, _)| name == "AccountSid")
            .map(|(_, value)| value.clone())
            .or_else(|| account_of_events(&self.body))?;
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

impl Receiver {
    async fn take(&self, incoming: Incoming, callback: Callback) -> Result<Stored, Fault> {
        let account_sid = incoming
            .account_sid()
            .ok_or(Fault::Forbidden("unknown_account"))?;
        let (tokens, owner) = self.keys_of(&account_sid).await?;
        incoming
            .verify(&tokens)
            .map_err(|error| Fault::Forbidden(error.as_str()))?;
        // Under the master account the signed URL itself is the only one that names a user.
        if let (Some(owner), Some(named)) = (owner, &incoming.user_id)
            && owner != *named
        {
            return Err(Fault::OtherUser);
        }
        let delivery = Delivery {
            webhook: held(incoming, callback, account_sid),
            job: None,
        };
        self.store.put(delivery).await.map_err(Fault::NotStored)
    }

    /// The tokens an account may sign with and, for a subaccount, the account it belongs to.
    async fn keys_of(
        &self,
        account_sid: &str,
    ) -> Result<(Vec<SecretString>, Option<String>), Fault> {
        let master = &self.ctx.config.twilio;
        if account_sid == master.account_sid {
            return Ok((master.auth_tokens.clone(), None));
        }
        let sealed = async {
            let mut conn = self.ctx.pools.ingest.acquire().await?;
            subaccounts::sealed_token(&mut conn, account_sid).await
        };
        let (account_id, sealed) = sealed
            .await
            .map_err(|error| {
                tracing::warn!(%error, "the token of a subaccount cannot be read");
                Fault::NotStored(NotStored::Refused)
            })?
            .ok_or(Fault::Forbidden("unknown_account"))?;
        let place = Place {
            table: "twilio_subaccounts",
            column: "auth_token_sealed",
            account_id: &account_id,
            row: &account_id,
        };
        let token = self.ctx.keyring.open(&sealed, place).map_err(|error| {
            // Ours to repair: until then the provider must not believe that it was received.
            tracing::error!(%error, account_id, "the token of a subaccount does not open");
            Fault::NotStored(NotStored::Refused)
        })?;
        Ok((vec![token], Some(account_id)))
    }
}

fn held(incoming: Incoming, callback: Callback, account_sid: String) -> NewWebhook {
    let event_key = callback.key.unwrap_or_else(|| {
        let mut digest = Sha256::new();
        digest.update(&incoming.url);
        digest.update([0]);
        digest.update(&incoming.body);
        format!("sha256:{}", hex::encode(digest.finalize()))
    });
    NewWebhook {
        id: Uuid::now_v7(),
        provider: Provider::Twilio,
        event_key,
        kind: callback.kind.to_owned(),
        endpoint: account_sid,
        headers: incoming.headers,
        body: incoming.body,
        state: State::Held,
    }
}
