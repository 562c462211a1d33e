//! Tell one endpoint one notification.
//!
//! Enqueued by `announce_notification` and by operators (`endpoints test`, `notifications replay`). Safe
//! to run twice: delivery is at least once, every attempt carries the notification's own id, and by that
//! the receiver knows what it has been told. There is no journal of it: nothing that is asked here could
//! say whether an endpoint that did not answer was told or not.
//!
//! In the lane `default`, since an app may have to act on it soon and two places among the sweeps are
//! too few; a limit of its own keeps half of the lane free for everybody else (`clients::notifier`).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Job, RetryPolicy};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverNotification {
    pub notification_id: Uuid,
    pub endpoint_id: Uuid,
}

impl Job for DeliverNotification {
    const KIND: &'static str = "deliver_notification";
    /// About three days: from seconds at first to six hours at most, each a random part of it.
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 35,
        base: Duration::from_secs(5),
        cap: Duration::from_secs(6 * 3600),
    };

    fn key(&self) -> String {
        format!("{}:{}", self.notification_id, self.endpoint_id)
    }
}

/// How the keys of all deliveries of a notification begin.
pub fn keys_begin_with(notification_id: Uuid) -> String {
    format!("{notification_id}:")
}

/// What came back from an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Status {
        status: u16,
        /// The header as it came.
        retry_after: Option<String>,
    },
    /// None came, or nothing was asked; and why, without a word of the URL.
    None(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// The endpoint says that it is no more: it is disabled and a person is told.
    Gone,
    /// It asked for patience. Costs no attempt.
    Later(Duration, String),
    Retry(String),
}

/// For so long an endpoint that asks for patience is waited for without charging an attempt; after
/// that its attempts come to their end like everybody's.
const PATIENCE: TimeDelta = TimeDelta::days(3);
const LATER_MIN: Duration = Duration::from_secs(5);
const LATER_MAX: Duration = Duration::from_secs(3600);

/// What an answer means. A redirect is an answer like any other failure: it is not followed.
pub fn decide(answer: &Answer, announced_at: DateTime<Utc>, now: DateTime<Utc>) -> Verdict {
    let (status, retry_after) = match answer {
        Answer::Status {
            status,
            retry_after,
        } => (*status, retry_after.as_deref()),
        Answer::None(why) => return Verdict::Retry((*why).to_owned()),
    };
    let why = format!("the endpoint answered {status}");
    match status {
        200..=299 => Verdict::Delivered,
        410 => Verdict::Gone,
        429 | 503 if now - announced_at < PATIENCE => {
            match retry_after.and_then(|text| delay(text, now)) {
                Some(delay) => Verdict::Later(delay.clamp(LATER_MIN, LATER_MAX), why),
                None => Verdict::Retry(why),
            }
        }
        _ => Verdict::Retry(why),
    }
}

/// A `Retry-After` in seconds or as a date.
fn delay(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNOUNCED: &str = "2026-11-20T10:00:00Z";

    fn check(status: u16, retry_after: Option<&str>, days: i64) -> Verdict {
        let announced_at: DateTime<Utc> = ANNOUNCED.parse().unwrap();
        let retry_after = retry_after.map(str::to_owned);
        let answer = Answer::Status {
            status,
            retry_after,
        };
        decide(&answer, announced_at, announced_at + TimeDelta::days(days))
    }

    #[test]
    fn an_answer_is_sorted_by_what_to_do_next() {
        let retry = |status: u16| Verdict::Retry(format!("the endpoint answered {status}"));
        for status in [200, 202, 204, 299] {
            assert_eq!(check(status, None, 0), Verdict::Delivered, "{status}");
        }
        for status in [100, 301, 302, 307, 400, 401, 404, 429, 500, 503] {
            assert_eq!(check(status, None, 0), retry(status), "{status}");
        }
        assert_eq!(check(410, None, 0), Verdict::Gone);
        // Only where it has a meaning.
        assert_eq!(check(500, Some("60"), 0), retry(500));
        let why = "no answer in time";
        let at = ANNOUNCED.parse().unwrap();
        assert_eq!(
            decide(&Answer::None(why), at, at),
            Verdict::Retry(why.into())
        );
    }

    #[test]
    fn patience_is_given_as_asked_within_bounds_and_not_for_ever() {
        for (text, seconds) in [
            ("60", Some(60)),
            ("0", Some(5)),
            ("86400", Some(3600)),
            ("Fri, 20 Nov 2026 10:02:00 GMT", Some(120)),
            ("Fri, 20 Nov 2026 09:00:00 GMT", Some(5)),
            ("soon", None),
            ("-1", None),
        ] {
            let after = match check(429, Some(text), 0) {
                Verdict::Later(after, _) => Some(after.as_secs()),
                _ => None,
            };
            assert_eq!(after, seconds, "{text}");
        }
        assert!(matches!(check(503, Some("60"), 2), Verdict::Later(..)));
        assert!(matches!(check(503, Some("60"), 3), Verdict::Retry(_)));
    }

    #[test]
    fn an_endpoint_that_never_answers_is_given_up_after_about_three_days() {
        let policy = DeliverNotification::RETRY;
        let mean: Duration = (1..policy.attempts_max)
            .map(|failures| policy.delay(failures, 0.5))
            .sum();
        let hours = mean.as_secs() / 3600;
        assert!((66..=78).contains(&hours), "{hours} h");
    }
}
