//! Twilio's callbacks, under every URL that a number or a call was ever given.
//!
//! They are verified, stored whole with their job and answered: questions with TwiML, reports with `OK`. What no job takes
//! yet is stored as `held`. The public URL is what was signed, so it is rebuilt from our own setting, never from `Host`.

mod incoming;
pub(super) mod line;
mod urls;

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use poem::{Endpoint, Request, Response, Result, Route, get, http::StatusCode};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tollkeeper_jobs::{
    HandleTwilioCallback, NewJob, handle_twilio_callback,
    telephony::{
        callback::{self, Address, Answer, Callback},
        countries::is_allowed_country,
        e164::E164,
        outbound::affordable,
    },
};
use uuid::Uuid;

use self::{incoming::Incoming, line::Line};
use super::{Delivery, NotStored, Receiver, Stored, answers, count, count_stored, later, text};
use crate::{
    db::{
        messages,
        outbound_spend::Today,
        phone_settings, subaccounts,
        webhooks::{NewWebhook, Provider, State},
    },
    sealed::Place,
};

/// A caller hears silence until we answer; the provider itself would wait for fifteen seconds.
const PATIENCE: Duration = Duration::from_millis(1800);

/// Who writes so many messages within so long is perhaps a machine that answers ours.
const OFTEN: i64 = 3;
const OFTEN_WITHIN: TimeDelta = TimeDelta::hours(1);

/// Twilio's part of the routes.
pub fn routes<E>(route: Route, receiver: &Arc<Receiver>, api: &Arc<E>) -> Route
where
    E: Endpoint<Output = Response> + 'static,
{
    urls::all().fold(route, |route, (path, address)| {
        let called = Arc::new(Called {
            receiver: receiver.clone(),
            address,
        });
        if path == urls::OF_APPS_TOO {
            let api = api.clone();
            let asked = Asked {
                called: called.clone(),
                api,
            };
            return route.at(path, get(asked).post(called));
        }
        route.at(path, get(called.clone()).post(called))
    })
}

/// A GET of a path that is Twilio's and apps': Twilio signs.
struct Asked<E> {
    called: Arc<Called>,
    api: Arc<E>,
}

impl<E: Endpoint<Output = Response>> Endpoint for Asked<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        match request.header("x-twilio-signature") {
            Some(_) => self.called.call(request).await,
            None => self.api.call(request).await,
        }
    }
}

/// Each path, in the form of the router.
pub fn paths() -> impl Iterator<Item = String> {
    urls::all().map(|(path, _)| path)
}

struct Called {
    receiver: Arc<Receiver>,
    address: Address,
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
            Ok((stored, answer, line)) => {
                count_stored(Provider::Twilio, stored);
                answers::to(answer, &line, &ctx.config)
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

impl Receiver {
    /// Believe it, store it, and say what it is to hear.
    async fn take(
        &self,
        incoming: Incoming,
        callback: Callback,
    ) -> Result<(Stored, Answer, Line), Fault> {
        if !incoming.is_signed() {
            // Before anything is looked up for it.
            return Err(Fault::Forbidden("missing_signature"));
        }
        let account_sid = incoming
            .account_sid()
            .ok_or(Fault::Forbidden("unknown_account"))?;
        let (tokens, owner) = self.keys_of(&account_sid).await?;
        incoming
            .verify(&tokens)
            .map_err(|error| Fault::Forbidden(error.as_str()))?;
        // Under the master account the signed URL itself is the only one that names a user.
        if let (Some(owner), Some(named)) = (&owner, &incoming.user_id)
            && owner != named
        {
            return Err(Fault::OtherUser);
        }
        let answer = match callback.answer {
            reply if reply.is_reply() && self.is_better_unanswered(&incoming).await? => {
                Answer::Silence
            }
            answer => answer,
        };
        let line = match answer.is_by_settings() {
            true => self.line(&incoming, owner.as_deref()).await?,
            false => Line::default(),
        };
        let answer = match answer {
            reply if reply.is_reply() && line.is_spent() => Answer::Silence,
            answer => answer,
        };
        let is_handled = handle_twilio_callback::is_handled(callback.kind);
        let webhook = webhook(incoming, callback, account_sid, is_handled);
        let job = is_handled.then(|| {
            let webhook_id = webhook.id;
            NewJob::of(&HandleTwilioCallback { webhook_id }).of_account(owner)
        });
        let delivery = Delivery {
            webhook,
            job,
            customer_ref: None,
        };
        let stored = self.store.put(delivery).await.map_err(Fault::NotStored)?;
        Ok((stored, answer, line))
    }

    /// Whose number is called or written to, and what they want of it; all in one query.
    async fn line(&self, incoming: &Incoming, owner: Option<&str>) -> Result<Line, Fault> {
        let to = incoming.param("To").unwrap_or_default();
        let cap = self.ctx.config.telephony.outbound.spend_per_day_micros;
        let minute_micros = self.ctx.catalogue.list_prices.outbound_minute.0;
        let now = self.ctx.clock.now();
        let found = async {
            let mut conn = self.ctx.pools.ingest.acquire().await?;
            let today = cap.map(|_| Today { now, minute_micros });
            let named = incoming.user_id.as_deref();
            phone_settings::of_number(&mut conn, owner, named, &line::as_stored(to), today).await
        };
        let found = found.await.map_err(|error| {
            tracing::warn!(%error, "what a number is to do cannot be read");
            Fault::NotStored(NotStored::Refused)
        })?;
        // Under the master account it is the number that says whose it is.
        match (&found.account_id, &incoming.user_id) {
            (Some(owner), Some(named)) if owner != named => Err(Fault::OtherUser),
            _ => {
                let left = cap
                    .zip(found.spent_micros)
                    .map(|(cap, spent)| affordable(cap - spent, minute_micros));
                Ok(Line::of(found, incoming, left))
            }
        }
    }

    /// Whether who wrote this message is better left without a reply.
    async fn is_better_unanswered(&self, incoming: &Incoming) -> Result<bool, Fault> {
        let (Some(from), Some(to)) = (incoming.param("From"), incoming.param("To")) else {
            return Ok(true);
        };
        // A reply is paid for like any message: it goes where others may go.
        let countries = &self.ctx.config.telephony.allowed_countries;
        let is_abroad = |from: E164| !is_allowed_country(&from, countries);
        if E164::as_written(from).is_ok_and(is_abroad) {
            return Ok(true);
        }
        let since = self.ctx.clock.now() - OFTEN_WITHIN;
        let found = async {
            let mut conn = self.ctx.pools.ingest.acquire().await?;
            messages::is_better_unanswered(&mut conn, from, to, since, OFTEN).await
        };
        found.await.map_err(|error| {
            tracing::warn!(%error, "who wants no reply cannot be read");
            Fault::NotStored(NotStored::Refused)
        })
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
        let place = Place::subaccount_token(&account_id);
        let token = self.ctx.keyring.open(&sealed, place).map_err(|error| {
            // Ours to repair: until then the provider must not believe that it was received.
            tracing::error!(%error, account_id, "the token of a subaccount does not open");
            Fault::NotStored(NotStored::Refused)
        })?;
        Ok((vec![token], Some(account_id)))
    }
}

fn webhook(
    incoming: Incoming,
    callback: Callback,
    account_sid: String,
    is_handled: bool,
) -> NewWebhook {
    let event_key = callback.key.unwrap_or_else(|| {
        let mut digest = Sha256::new();
        digest.update(&incoming.url);
        digest.update([0]);
        digest.update(incoming.said());
        format!("sha256:{}", hex::encode(digest.finalize()))
    });
    // Each account's own: whoever signs as one account must not be able to fill the place of another
    // one's callback, which would then be answered as a copy, and lost.
    let event_key = format!("{account_sid}:{event_key}");
    NewWebhook {
        id: Uuid::now_v7(),
        provider: Provider::Twilio,
        event_key,
        kind: callback.kind.to_owned(),
        endpoint: account_sid,
        body: incoming.said().to_vec(),
        headers: incoming.headers,
        state: match is_handled {
            true => State::Stored,
            false => State::Held,
        },
    }
}
