//! Fetch the Stripe events that were not delivered, and those about money given back that are not stored, and take them
//! in as if they had been delivered. What was held back is taken up again.
//!
//! Enqueued by the timetable. Safe to run twice: an event is stored once, by its id. It never decides
//! anything about an event: it stores it with its job, as the receiver does.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollStripeEvents {
    pub tick_at: DateTime<Utc>,
}

impl Job for PollStripeEvents {
    const KIND: &'static str = "poll_stripe_events";
    const LANE: Lane = Lane::Bulk;

    /// One poll at a time, whichever tick asked for it.
    fn key(&self) -> String {
        String::new()
    }
}

/// How far back a poll looks. Stripe delivers again for three days; the rest is for our own outages.
pub const LOOK_BACK: TimeDelta = TimeDelta::days(7);

/// How far back events about money given back are compared with what is stored, those too that an endpoint took: nothing
/// else tells of them, and what a restored database lost was acknowledged. Stripe keeps events for thirty days.
pub const GIVEBACKS_LOOK_BACK: TimeDelta = TimeDelta::days(30);

/// The first poll of an hour looks for them.
pub fn looks_for_givebacks(tick_at: DateTime<Utc>) -> bool {
    tick_at.minute() < 10
}
