//! `POST /api/twilio/make-call` and `/api/phone/calls/initiate`.

use poem::http::StatusCode;
use poem_openapi::{Object, payload::Json, types::Any};
use serde_json::{Map, Value};
use tollkeeper_jobs::telephony::outbound::Channel;

use super::{
    super::user_id::UserId,
    Envelope, Enveloped, Flat, Reply, Shared,
    wish::{Granted, Said, required},
};
use crate::http::{
    auth::Caller,
    problem::{Problem, timestamp},
};

/// Said where an app asks for a call and does not say with what.
const GREETING: &str = "Hello! Please hold the line.";
const GREETING_RECORDED: &str = "Hello! This call is recorded. Please speak after the beep.";

/// Calls somebody and tells them something.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct MakeCall {
    /// Required. In any usual form.
    to: Option<String>,
    /// Required: what the called person hears.
    message: Option<String>,
    /// One of the user's own numbers; the first one when left out.
    from: Option<String>,
    /// Whether what they say is recorded.
    #[oai(default)]
    record: bool,
    /// Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    /// Kept as it is: an object of up to 4096 bytes.
    metadata: Option<Any<Map<String, Value>>>,
    /// As the `Idempotency-Key` header.
    idempotency_key: Option<String>,
    /// Media streams are not offered: true is refused.
    enable_stream: Option<bool>,
}

/// Calls somebody.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct InitiateCall {
    /// One of the user's own numbers; the first one when left out.
    from: Option<String>,
    /// Required. In any usual form.
    to: Option<String>,
    /// Whether what they say is recorded.
    #[oai(default)]
    record_call: bool,
    /// What the called person hears; a greeting when left out.
    message: Option<String>,
    /// Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    /// As the `Idempotency-Key` header.
    idempotency_key: Option<String>,
}

#[derive(Debug, Object)]
pub struct CallAnswer {
    /// Always true.
    success: bool,
    /// As in `call`.
    sid: String,
    /// As in `call`.
    status: String,
    call: OutgoingCall,
}

/// A call that was asked for.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct OutgoingCall {
    /// `CA…`, or `id` while the provider has not answered.
    sid: String,
    /// Ours.
    id: String,
    /// queued, initiated, ringing, in-progress, completed, busy, failed, no-answer or canceled; unknown while nobody can
    /// say whether it was dialled.
    status: String,
    /// E.164.
    to: String,
    from: String,
    /// Always `outbound-api`.
    direction: String,
    account_sid: String,
    /// It is cut off after so many minutes.
    minutes_max: i32,
    /// Whether the main account's number was used, because the user has none.
    is_fallback: bool,
    date_created: String,
    date_updated: Option<String>,
}

pub async fn make(
    shared: &Shared,
    caller: &Caller,
    header_key: Option<String>,
    body: MakeCall,
) -> Flat<CallAnswer> {
    const MISSING: &str = "Phone number and message are required";
    if body.enable_stream == Some(true) {
        let why = "enableStream is not offered: leave it out";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "STREAM_NOT_OFFERED", why).into());
    }
    let said = Said {
        channel: Channel::Call,
        user_id: body.user_id.map(|id| id.0),
        from: body.from,
        to: required(body.to, MISSING)?,
        body: required(body.message, MISSING)?,
        is_recorded: body.record,
        metadata: body.metadata.map(|metadata| metadata.0),
        header_key,
        body_key: body.idempotency_key,
    };
    let granted = shared.dispatch(caller, said).await?;
    let call = call(&granted);
    let answer = CallAnswer {
        success: true,
        sid: call.sid.clone(),
        status: call.status.clone(),
        call,
    };
    Ok(Reply::of(granted.is_sent(), Json(answer)))
}

pub async fn initiate(
    shared: &Shared,
    caller: &Caller,
    header_key: Option<String>,
    body: InitiateCall,
) -> Enveloped<OutgoingCall> {
    let greeting = match body.record_call {
        true => GREETING_RECORDED,
        false => GREETING,
    };
    let message = body.message.filter(|message| !message.trim().is_empty());
    let said = Said {
        channel: Channel::Call,
        user_id: body.user_id.map(|id| id.0),
        from: body.from,
        to: required(body.to, "to is required")?,
        body: message.unwrap_or_else(|| greeting.to_owned()),
        is_recorded: body.record_call,
        metadata: None,
        header_key,
        body_key: body.idempotency_key,
    };
    let granted = shared.dispatch(caller, said).await?;
    let now = shared.clock.now();
    let answer = Envelope::new(call(&granted), "Call initiated successfully", now);
    Ok(Reply::of(granted.is_sent(), answer))
}

fn call(granted: &Granted) -> OutgoingCall {
    let wish = &granted.standing.wish;
    OutgoingCall {
        sid: granted.sid(),
        id: wish.id.to_string(),
        status: granted.status(),
        to: wish.to_number.clone(),
        from: wish.from_number.clone(),
        direction: "outbound-api".to_owned(),
        account_sid: wish.provider_ref.clone(),
        minutes_max: wish.units,
        is_fallback: wish.is_fallback,
        date_created: timestamp(wish.asked_at),
        date_updated: granted.standing.status_at.map(timestamp),
    }
}
