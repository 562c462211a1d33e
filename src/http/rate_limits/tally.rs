//! What one request was counted for, and how its answer says so.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::{
    Class, RateLimits,
    budget::{Budgets, Verdict},
};
use crate::http::{
    auth::{AccountId, Principal},
    problem::Problem,
};

/// As in the IETF's draft "RateLimit header fields for HTTP".
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// One request's way to the budgets.
#[derive(Default)]
pub struct Tally {
    limits: Arc<RateLimits>,
    verdicts: [OnceLock<Verdict>; Class::ALL.len()],
}

impl Tally {
    pub fn of(limits: Arc<RateLimits>) -> Tally {
        Tally {
            limits,
            verdicts: Default::default(),
        }
    }

    /// Count the request in this class: 429 when nothing is left. It is counted once, however often
    /// its operation asks; whom it was about the first time is whose budget it takes from.
    pub fn count(
        &self,
        principal: &Principal,
        account: Option<&AccountId>,
        class: Class,
    ) -> Result<(), Problem> {
        let Some(budgets) = self.limits.of(class) else {
            return Ok(());
        };
        let verdict = self.verdicts[class as usize]
            .get_or_init(|| budgets.count(self.limits.key(principal, account)));
        if verdict.is_within {
            return Ok(());
        }
        metrics::counter!("tollkeeper_api_rate_limited_total", "class" => class.as_str())
            .increment(1);
        Err(refusal(budgets, verdict))
    }

    /// One entry in each header for each class the request was counted in; none when it was not.
    pub fn tell(&self, headers: &mut HeaderMap) {
        for class in Class::ALL {
            let verdict = self.verdicts[class as usize].get();
            let Some((budgets, verdict)) = self.limits.of(class).zip(verdict) else {
                continue;
            };
            let (name, max, window) = (class.as_str(), budgets.max(), budgets.window_seconds());
            let (remaining, seconds) = (verdict.remaining, verdict.seconds);
            let policy = format!("\"{name}\";q={max};w={window}");
            let standing = format!("\"{name}\";r={remaining};t={seconds}");
            for (header, text) in [(POLICY, policy), (STANDING, standing)] {
                let value = HeaderValue::try_from(text).expect("it is plain ASCII");
                headers.append(header, value);
            }
        }
    }
}

fn refusal(budgets: &Budgets, verdict: &Verdict) -> Problem {
    let seconds = verdict.seconds.max(1);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    Problem {
        details: Some(json!({
            "limit": budgets.max(),
            "windowSeconds": budgets.window_seconds(),
            "retryAfterSeconds": seconds,
        })),
        retry_after: Some(Duration::from_secs(seconds)),
        ..Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMIT_EXCEEDED",
            format!("Too many requests: ask again in {seconds} {unit}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RateLimitConfig;

    fn limits(requests_max: u32, phone_per_hour_max: u32) -> Arc<RateLimits> {
        Arc::new(RateLimits::new(&RateLimitConfig {
            window: Duration::from_secs(60),
            requests_max,
            phone_per_hour_max,
            billing_per_hour_max: 0,
        }))
    }

    fn user() -> Principal {
        let account_id = AccountId::parse("ann").unwrap();
        Principal::User {
            account_id,
            email: None,
        }
    }

    fn told(tally: &Tally, header: HeaderName) -> Vec<String> {
        let mut headers = HeaderMap::new();
        tally.tell(&mut headers);
        let all = headers.get_all(header).iter();
        all.map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_request_counts_once_in_each_class() {
        let tally = Tally::of(limits(10, 5));

        for _ in 0..3 {
            tally.count(&user(), None, Class::Api).unwrap();
            tally.count(&user(), None, Class::Phone).unwrap();
        }

        assert_eq!(
            told(&tally, POLICY),
            [r#""api";q=10;w=60"#, r#""phone";q=5;w=3600"#]
        );
        assert_eq!(
            told(&tally, STANDING),
            [r#""api";r=9;t=6"#, r#""phone";r=4;t=720"#]
        );
    }

    #[test]
    fn a_request_that_was_not_counted_says_nothing() {
        assert!(told(&Tally::of(limits(10, 5)), STANDING).is_empty());
        let off = Tally::of(limits(0, 0));
        off.count(&user(), None, Class::Api).unwrap();
        assert!(told(&off, POLICY).is_empty());
    }

    #[test]
    fn a_refusal_says_when_to_come_back_wherever_it_is_looked_for() {
        let limits = limits(1, 0);
        Tally::of(limits.clone())
            .count(&user(), None, Class::Api)
            .unwrap();

        let tally = Tally::of(limits);
        let problem = tally.count(&user(), None, Class::Api).unwrap_err();

        assert_eq!(problem.status, StatusCode::TOO_MANY_REQUESTS);
        let seconds = problem.retry_after.unwrap().as_secs();
        assert!((1..=60).contains(&seconds), "{seconds}");
        let details = json!({ "limit": 1, "windowSeconds": 60, "retryAfterSeconds": seconds });
        assert_eq!(problem.details, Some(details));
        assert_eq!(
            told(&tally, STANDING),
            [format!(r#""api";r=0;t={seconds}"#)]
        );
    }
}
