//! What is known of a call, from callbacks that come in any order and more than once.

use chrono::{DateTime, Utc};

use super::words;
use crate::usage::MicroUnits;

/// Where a call stands, in Twilio's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Queued,
    Initiated,
    Ringing,
    InProgress,
    Completed,
    Busy,
    Failed,
    NoAnswer,
    Canceled,
}

impl Status {
    const ALL: [(Status, &'static str); 9] = [
        (Status::Queued, "queued"),
        (Status::Initiated, "initiated"),
        (Status::Ringing, "ringing"),
        (Status::InProgress, "in-progress"),
        (Status::Completed, "completed"),
        (Status::Busy, "busy"),
        (Status::Failed, "failed"),
        (Status::NoAnswer, "no-answer"),
        (Status::Canceled, "canceled"),
    ];

    pub fn of(text: &str) -> Option<Status> {
        words::read(&Status::ALL, text)
    }

    pub fn as_str(self) -> &'static str {
        words::name(&Status::ALL, self)
    }

    /// Whether the call is over.
    pub fn is_final(self) -> bool {
        self.rank() == 4
    }

    fn rank(self) -> u8 {
        match self {
            Status::Queued => 0,
            Status::Initiated => 1,
            Status::Ringing => 2,
            Status::InProgress => 3,
            _ => 4,
        }
    }
}

/// What one callback says of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub call_ref: String,
    /// The call that this one is a leg of.
    pub parent_ref: Option<String>,
    pub is_inbound: Option<bool>,
    /// As the provider writes it: a caller may have no number.
    pub from: Option<String>,
    pub to: Option<String>,
    pub status: Option<Status>,
    /// How long it was, told when it is over.
    pub seconds: Option<u32>,
    /// When what it reports happened.
    pub at: Option<DateTime<Utc>>,
    /// What the provider takes for it, in millionths of a dollar; only its list says so, and late.
    pub cost_micros: Option<i64>,
}

/// A call as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub parent_ref: Option<String>,
    /// None: no callback said it yet.
    pub is_inbound: Option<bool>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub status: Status,
    pub seconds: Option<u32>,
    /// When it was first heard of.
    pub began_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub cost_micros: Option<i64>,
}

/// What is known once this is known too. What is over stays as it ended, and how long it was is told once.
pub fn learn(known: Option<Call>, said: &Report, received_at: DateTime<Utc>) -> Call {
    // The provider's clock may be ahead of ours; nothing happens after it was told.
    let at = said.at.map_or(received_at, |at| at.min(received_at));
    let status = said.status.unwrap_or(Status::Queued);
    let is_over = status.is_final();
    let Some(known) = known else {
        return Call {
            parent_ref: said.parent_ref.clone(),
            is_inbound: said.is_inbound,
            from: said.from.clone(),
            to: said.to.clone(),
            status,
            seconds: said.seconds.filter(|_| is_over),
            began_at: at,
            ended_at: is_over.then_some(at),
            cost_micros: said.cost_micros,
        };
    };
    let is_news = !known.status.is_final() && status.rank() > known.status.rank();
    Call {
        parent_ref: known.parent_ref.or_else(|| said.parent_ref.clone()),
        is_inbound: known.is_inbound.or(said.is_inbound),
        from: known.from.or_else(|| said.from.clone()),
        to: known.to.or_else(|| said.to.clone()),
        status: if is_news { status } else { known.status },
        seconds: known.seconds.or(said.seconds.filter(|_| is_over)),
        began_at: known.began_at.min(at),
        ended_at: known.ended_at.or(is_over.then_some(at)),
        // It may be corrected: the last word counts.
        cost_micros: said.cost_micros.or(known.cost_micros),
    }
}

/// The minutes a call is billed: each that was begun, of each leg, as the provider bills it. None: it is not over, or
/// nobody spoke.
pub fn minutes(call: &Call) -> Option<MicroUnits> {
    let seconds = call.seconds.filter(|_| call.status == Status::Completed)?;
    let minutes = seconds.div_ceil(60);
    (minutes > 0).then_some(MicroUnits::of_units(minutes.into()))
}

/// Whether it is known what a call took: it is over, and if somebody took it, how long it was.
pub fn is_settled(call: &Call) -> bool {
    call.status.is_final() && (call.status != Status::Completed || call.seconds.is_some())
}

#[cfg(test)]
mod tests;
