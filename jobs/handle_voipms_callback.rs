//! Look at VoIP.ms for the message that a stored callback tells of, and write down and meter what is found there.
//!
//! Enqueued by the receiver in the transaction that stores the webhook, and by `reconcile_phone_logs` for what
//! was kept meanwhile. The callback is not signed: it says only where to look, and its text is neither billed nor shown. Safe to run twice: what is listed counts once, under its id there.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Job, RetryPolicy,
    telephony::voipms::{Hint, Listed},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleVoipmsCallback {
    pub webhook_id: Uuid,
}

impl Job for HandleVoipmsCallback {
    const KIND: &'static str = "handle_voipms_callback";
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.webhook_id.to_string()
    }
}

/// A message may be told of before it is listed.
const LISTED_WITHIN: TimeDelta = TimeDelta::hours(1);
const LOOKED_FOR_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(15);

/// The days whose messages are asked for: those around the callback, wherever midnight is.
pub fn days(received_at: DateTime<Utc>) -> (NaiveDate, NaiveDate) {
    let day = TimeDelta::days(1);
    (
        (received_at - day).date_naive(),
        (received_at + day).date_naive(),
    )
}

/// What becomes of the callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is there.
    Confirmed,
    /// Not yet: look again then.
    LookAgain(DateTime<Utc>),
    /// There is no such message: somebody made it up.
    MadeUp,
}

/// By what is listed of the number now. It is looked for after twice as long each time.
pub fn decide(
    hint: &Hint,
    listed: &[Listed],
    received_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Plan {
    if listed.iter().any(|listed| hint.is_of(listed)) {
        return Plan::Confirmed;
    }
    let known_by = received_at + LISTED_WITHIN;
    if now >= known_by {
        return Plan::MadeUp;
    }
    let again_at = now + (now - received_at).max(LOOKED_FOR_AGAIN_AFTER);
    Plan::LookAgain(again_at.min(known_by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_looked_for_ever_more_seldom_for_an_hour() {
        let params = [("from", "4155550199"), ("to", "4155550100"), ("id", "1")];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let hint = Hint::of(&params).unwrap();
        let received_at: DateTime<Utc> = "2026-10-15T23:59:00Z".parse().unwrap();
        let mut looks = Vec::new();
        let mut now = received_at;
        while let Plan::LookAgain(at) = decide(&hint, &[], received_at, now) {
            looks.push((at - received_at).num_seconds());
            now = at;
        }
        assert_eq!(looks, [15, 30, 60, 120, 240, 480, 960, 1920, 3600]);
        assert_eq!(decide(&hint, &[], received_at, now), Plan::MadeUp);

        let listed = Listed {
            id: "1".into(),
            is_inbound: true,
            ours: "+14155550100".into(),
            theirs: "+14155550199".into(),
            text: String::new(),
            media: 0,
            at: received_at,
        };
        // Found late is found.
        let listed = [listed];
        assert_eq!(decide(&hint, &listed, received_at, now), Plan::Confirmed);
    }

    #[test]
    fn the_days_around_the_callback_are_asked_for() {
        let days = days("2026-01-01T03:00:00Z".parse().unwrap());
        let expected = ["2025-12-31", "2026-01-02"].map(|day| day.parse().unwrap());
        assert_eq!([days.0, days.1], expected);
    }
}
