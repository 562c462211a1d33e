//! `POST /api/twilio/send-sms`, `/api/sms/send` and `/api/phone/sms/send`.

use poem::http::StatusCode;
use poem_openapi::{Object, payload::Json, types::Any};
use serde_json::{Map, Value, json};
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

/// Writes to somebody.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SendSms {
    /// Required. In any usual form.
    to: Option<String>,
    /// Required: up to 1600 characters.
    body: Option<String>,
    /// One of the user's own numbers; the first one when left out.
    from: Option<String>,
    /// Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    /// Kept as it is: an object of up to 4096 bytes.
    metadata: Option<Any<Map<String, Value>>>,
    /// As the `Idempotency-Key` header.
    idempotency_key: Option<String>,
}

/// Writes to somebody, as clients of the messaging service ask. What they say of credentials is not read.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SendMessage {
    /// Or `to`. Required.
    to_phone: Option<String>,
    to: Option<String>,
    /// Or `message`. Required.
    message_body: Option<String>,
    message: Option<String>,
    from: Option<String>,
    user_id: Option<UserId>,
    lead_id: Option<String>,
    campaign_id: Option<String>,
    template_id: Option<String>,
    is_automated: Option<bool>,
    is_bulk: Option<bool>,
    /// `sms`; nothing else is offered.
    channel: Option<String>,
    idempotency_key: Option<String>,
}

#[derive(Debug, Object)]
pub struct MessageAnswer {
    /// Always true.
    success: bool,
    /// As in `message`.
    sid: String,
    /// As in `message`.
    status: String,
    message: OutgoingMessage,
}

/// A message that was asked for.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct OutgoingMessage {
    /// `SM…`, or `id` while the provider has not answered.
    sid: String,
    /// Ours.
    id: String,
    /// queued, sending, sent, delivered, undelivered, failed and a few more of Twilio's words; unknown while nobody can
    /// say whether it was sent.
    status: String,
    /// E.164.
    to: String,
    from: String,
    body: String,
    /// As digits, as Twilio writes it.
    num_segments: String,
    /// Always `outbound-api`.
    direction: String,
    account_sid: String,
    /// Whether the main account's number was used, because the user has none.
    is_fallback: bool,
    date_created: String,
    date_updated: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SentSms {
    /// Always true.
    success: bool,
    /// `SM…`, or `smsMessageId` while the provider has not answered.
    message_id: String,
    sid: String,
    status: String,
    to: String,
    from: String,
    /// What it took of the plan: its segments.
    points_deducted: i32,
    /// What the plan has left; null where it sets no limit.
    remaining_balance: Option<i64>,
    /// Ours.
    sms_message_id: String,
}

pub async fn send_sms(
    shared: &Shared,
    caller: &Caller,
    header_key: Option<String>,
    body: SendSms,
) -> Flat<MessageAnswer> {
    let granted = send(shared, caller, header_key, body).await?;
    let message = message(&granted);
    let answer = MessageAnswer {
        success: true,
        sid: message.sid.clone(),
        status: message.status.clone(),
        message,
    };
    Ok(Reply::of(granted.is_sent(), Json(answer)))
}

pub async fn send_phone_sms(
    shared: &Shared,
    caller: &Caller,
    header_key: Option<String>,
    body: SendSms,
) -> Enveloped<OutgoingMessage> {
    let granted = send(shared, caller, header_key, body).await?;
    let now = shared.clock.now();
    let answer = Envelope::new(message(&granted), "SMS sent successfully", now);
    Ok(Reply::of(granted.is_sent(), answer))
}

async fn send(
    shared: &Shared,
    caller: &Caller,
    header_key: Option<String>,
    body: SendSms,
) -> Result<Granted, Problem> {
    const MISSING: &str = "Phone number and message body are required";
    let said = Said {
        channel: Channel::Message,
        user_id: body.user_id.map(|id| id.0),
        from: body.from,
        to: required(body.to, MISSING)?,
        body: required(body.body, MISSING)?,
        is_recorded: false,
        metadata: body.metadata.map(|metadata| metadata.0),
        header_key,
        body_key: body.idempotency_key,
    };
    shared.dispatch(caller, said).await
}

pub async fn send_message(
    shared: &Shared,
    caller: &Caller,
    header_key: Option<String>,
    body: SendMessage,
) -> Flat<SentSms> {
    const MISSING: &str = "Missing required fields: toPhone/to and messageBody/message";
    if body
        .channel
        .as_deref()
        .is_some_and(|channel| channel != "sms")
    {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let why = "channel is sms: nothing else is offered";
        return Err(Problem::new(status, "CHANNEL_NOT_OFFERED", why).into());
    }
    let told = json!({
        "leadId": body.lead_id, "campaignId": body.campaign_id, "templateId": body.template_id,
        "isAutomated": body.is_automated, "isBulk": body.is_bulk,
    });
    let told = told.as_object().cloned().unwrap_or_default();
    let said = Said {
        channel: Channel::Message,
        user_id: body.user_id.map(|id| id.0),
        from: body.from,
        to: required(either(body.to_phone, body.to), MISSING)?,
        body: required(either(body.message_body, body.message), MISSING)?,
        is_recorded: false,
        metadata: Some(
            told.into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        ),
        header_key,
        body_key: body.idempotency_key,
    };
    let granted = shared.dispatch(caller, said).await.map_err(as_points)?;
    let wish = &granted.standing.wish;
    let answer = SentSms {
        success: true,
        message_id: granted.sid(),
        sid: granted.sid(),
        status: granted.status(),
        to: wish.to_number.clone(),
        from: wish.from_number.clone(),
        points_deducted: wish.units,
        remaining_balance: granted.plan_left.map(|left| left.whole().into()),
        sms_message_id: wish.id.to_string(),
    };
    Ok(Reply::of(granted.is_sent(), Json(answer)))
}

/// The one of two names under which something is said.
fn either(one: Option<String>, other: Option<String>) -> Option<String> {
    one.filter(|text| !text.trim().is_empty()).or(other)
}

/// Its clients know one word for a plan that is used up.
fn as_points(problem: Problem) -> Problem {
    match problem.code {
        "QUOTA_EXCEEDED" => Problem {
            status: StatusCode::PAYMENT_REQUIRED,
            message: "Insufficient points".to_owned(),
            ..problem
        },
        _ => problem,
    }
}

fn message(granted: &Granted) -> OutgoingMessage {
    let wish = &granted.standing.wish;
    OutgoingMessage {
        sid: granted.sid(),
        id: wish.id.to_string(),
        status: granted.status(),
        to: wish.to_number.clone(),
        from: wish.from_number.clone(),
        body: wish.body.clone(),
        num_segments: wish.units.to_string(),
        direction: "outbound-api".to_owned(),
        account_sid: wish.provider_ref.clone(),
        is_fallback: wish.is_fallback,
        date_created: timestamp(wish.asked_at),
        date_updated: granted.standing.status_at.map(timestamp),
    }
}
