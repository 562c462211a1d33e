//! Calls and messages as apps are shown them: the rows of the replaced services, with null where there is nothing.

use poem_openapi::{Object, types::Any};
use serde_json::Value;

use crate::{
    clients::twilio::Twilio,
    db::{calls::ShownCall, messages::ShownMessage},
    http::problem::timestamp,
};

#[derive(Debug, Object)]
pub struct PhoneCall {
    /// A UUID.
    id: String,
    /// `CA…`
    call_sid: String,
    user_id: String,
    /// E.164, or a word where the caller has no number.
    from_number: Option<String>,
    to_number: Option<String>,
    /// `PN…`, of the user's own number.
    phone_number_sid: Option<String>,
    /// inbound or outbound.
    direction: Option<String>,
    /// queued, initiated, ringing, in-progress, completed, busy, failed, no-answer or canceled.
    status: String,
    /// In seconds; null until it is over.
    duration: Option<i32>,
    /// `RE…`, of several the last one that is transcribed.
    recording_sid: Option<String>,
    /// At the provider, who gives it out to the account's own token; null once it is deleted there.
    recording_url: Option<String>,
    transcription_id: Option<String>,
    /// The call that it is a leg of.
    parent_call_sid: Option<String>,
    /// What the app gave along that asked for the call.
    metadata: Any<Value>,
    created_at: String,
    ended_at: Option<String>,
    updated_at: String,
}

impl PhoneCall {
    /// The URL is made of ids; what a callback called its address is nowhere.
    pub fn of(row: ShownCall, twilio: &Twilio) -> PhoneCall {
        let call = row.call;
        let url =
            |(account, recording): (String, &String)| twilio.recording_url(&account, recording);
        PhoneCall {
            id: row.id.to_string(),
            call_sid: call.call_ref,
            user_id: call.account_id,
            from_number: call.from_number,
            to_number: call.to_number,
            phone_number_sid: row.phone_number_sid,
            direction: call.direction,
            status: call.status,
            duration: call.seconds,
            recording_url: row
                .recording_held_by
                .zip(row.recording_sid.as_ref())
                .map(url),
            recording_sid: row.recording_sid,
            transcription_id: row.transcription_id.map(|id| id.to_string()),
            parent_call_sid: call.parent_ref,
            metadata: Any(row.metadata),
            created_at: timestamp(call.began_at),
            ended_at: call.ended_at.map(timestamp),
            updated_at: timestamp(call.updated_at),
        }
    }
}

#[derive(Debug, Object)]
pub struct TextMessage {
    /// A UUID.
    id: String,
    /// `SM…` or `MM…`; at VoIP.ms `voipms_…`
    message_sid: String,
    user_id: String,
    from_number: Option<String>,
    to_number: Option<String>,
    /// Null where only its delivery was told of.
    body: Option<String>,
    /// inbound or outbound.
    direction: Option<String>,
    /// queued, sending, sent, delivered, undelivered, failed, read, received and a few more of Twilio's words.
    status: String,
    num_segments: Option<i32>,
    num_media: i32,
    /// The provider's, where it was not delivered.
    error_code: Option<String>,
    /// What the app gave along that asked for the message.
    metadata: Any<Value>,
    created_at: String,
    updated_at: String,
}

impl TextMessage {
    pub fn of(row: ShownMessage) -> TextMessage {
        let message = row.message;
        TextMessage {
            id: row.id.to_string(),
            message_sid: message.message_ref,
            user_id: message.account_id,
            from_number: message.from_number,
            to_number: message.to_number,
            body: message.body,
            direction: message.direction,
            status: message.status,
            num_segments: message.segments,
            num_media: message.media,
            error_code: message.error_code,
            metadata: Any(row.metadata),
            created_at: timestamp(message.began_at),
            updated_at: timestamp(message.updated_at),
        }
    }
}

/// A message of a conversation.
#[derive(Debug, Object)]
pub struct SaidMessage {
    #[oai(flatten)]
    message: TextMessage,
    /// Of the user's own number.
    phone_number_id: Option<String>,
    conversation_id: Option<String>,
    /// What the provider takes; null until it says so.
    price: Option<f64>,
    /// ISO 4217.
    price_unit: String,
    error_message: Option<String>,
    sent_at: Option<String>,
    delivered_at: Option<String>,
}

impl SaidMessage {
    pub fn of(mut row: ShownMessage) -> SaidMessage {
        SaidMessage {
            phone_number_id: row.phone_number_id.map(|id| id.to_string()),
            conversation_id: row.conversation_id.map(|id| id.to_string()),
            price: row.price,
            price_unit: std::mem::take(&mut row.price_unit),
            error_message: row.error_message.take(),
            sent_at: row.sent_at.map(timestamp),
            delivered_at: row.delivered_at.map(timestamp),
            message: TextMessage::of(row),
        }
    }
}
