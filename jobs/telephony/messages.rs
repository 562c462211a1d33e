//! What is known of a message, from callbacks that come in any order and more than once; and who wants none.

use chrono::{DateTime, Utc};

use super::words;
use crate::usage::MicroUnits;

/// Where a message stands, in Twilio's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Accepted,
    Scheduled,
    Queued,
    Sending,
    Sent,
    Delivered,
    PartiallyDelivered,
    Undelivered,
    Failed,
    Canceled,
    Read,
    Receiving,
    Received,
}

impl Status {
    const ALL: [(Status, &'static str); 13] = [
        (Status::Accepted, "accepted"),
        (Status::Scheduled, "scheduled"),
        (Status::Queued, "queued"),
        (Status::Sending, "sending"),
        (Status::Sent, "sent"),
        (Status::Delivered, "delivered"),
        (Status::PartiallyDelivered, "partially_delivered"),
        (Status::Undelivered, "undelivered"),
        (Status::Failed, "failed"),
        (Status::Canceled, "canceled"),
        (Status::Read, "read"),
        (Status::Receiving, "receiving"),
        (Status::Received, "received"),
    ];

    pub fn of(text: &str) -> Option<Status> {
        words::read(&Status::ALL, text)
    }

    pub fn as_str(self) -> &'static str {
        words::name(&Status::ALL, self)
    }

    /// Whether it never left the provider, which costs nothing.
    pub fn is_never_sent(self) -> bool {
        matches!(self, Status::Failed | Status::Canceled)
    }

    /// A later one replaces an earlier one; of the same rank the first stays.
    fn rank(self) -> u8 {
        match self {
            Status::Accepted | Status::Scheduled => 0,
            Status::Queued | Status::Receiving => 1,
            Status::Sending => 2,
            Status::Sent => 3,
            Status::Read => 5,
            _ => 4,
        }
    }
}

/// What one callback says of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub message_ref: String,
    pub is_inbound: Option<bool>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// Only an inbound message says it.
    pub body: Option<String>,
    pub segments: Option<u32>,
    /// Pictures and other files.
    pub media: Option<u32>,
    pub status: Option<Status>,
    pub error_code: Option<String>,
    /// When it was sent. None: about when it was told.
    pub at: Option<DateTime<Utc>>,
    /// What the provider takes for it, in millionths of a dollar; only its list says so, and late.
    pub cost_micros: Option<i64>,
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub is_inbound: Option<bool>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub body: Option<String>,
    pub segments: Option<u32>,
    pub media: u32,
    pub status: Status,
    pub error_code: Option<String>,
    /// When it was first heard of.
    pub began_at: DateTime<Utc>,
    pub cost_micros: Option<i64>,
}

/// What is known once this is known too.
pub fn learn(known: Option<Message>, said: &Report, received_at: DateTime<Utc>) -> Message {
    let at = said.at.map_or(received_at, |at| at.min(received_at));
    let status = said.status.unwrap_or(Status::Queued);
    let Some(known) = known else {
        return Message {
            is_inbound: said.is_inbound,
            from: said.from.clone(),
            to: said.to.clone(),
            body: said.body.clone(),
            segments: said.segments,
            media: said.media.unwrap_or_default(),
            status,
            error_code: said.error_code.clone(),
            began_at: at,
            cost_micros: said.cost_micros,
        };
    };
    let is_news = status.rank() > known.status.rank();
    Message {
        is_inbound: known.is_inbound.or(said.is_inbound),
        from: known.from.or_else(|| said.from.clone()),
        to: known.to.or_else(|| said.to.clone()),
        body: known.body.or_else(|| said.body.clone()),
        segments: known.segments.or(said.segments),
        media: known.media.max(said.media.unwrap_or_default()),
        status: if is_news { status } else { known.status },
        error_code: known.error_code.or_else(|| said.error_code.clone()),
        began_at: known.began_at.min(at),
        // It may be corrected: the last word counts.
        cost_micros: said.cost_micros.or(known.cost_micros),
    }
}

/// What a message is billed: its segments. None: they are not known yet, or it was never sent.
pub fn billed(message: &Message) -> Option<MicroUnits> {
    let is_sent = matches!(
        message.status,
        Status::Sent
            | Status::Delivered
            | Status::PartiallyDelivered
            | Status::Undelivered
            | Status::Read
            | Status::Received
    );
    let segments = message.segments.filter(|_| is_sent)?;
    Some(MicroUnits::of_units(segments.max(1).into()))
}

/// What somebody who writes to a number wishes of it, in the words that carriers ask to be honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    Help,
}

/// The wish of a message, if it is nothing else. `opt_out_type` is the provider's own reading of it.
pub fn wish(body: &str, opt_out_type: Option<&str>) -> Option<Wish> {
    let word = opt_out_type
        .unwrap_or(body)
        .trim()
        .trim_end_matches(['.', '!']);
    match word.to_ascii_uppercase().as_str() {
        "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT" => {
            Some(Wish::Stop)
        }
        "START" | "UNSTOP" | "YES" => Some(Wish::Start),
        "HELP" | "INFO" => Some(Wish::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
