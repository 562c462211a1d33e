//! What a job promises: its kind, its key, its lane and how it is retried.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// An order to do one thing. The payload holds ids only: facts are read when the job runs.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the job everywhere: the file, the log field, the stored row. Never renamed.
    const KIND: &'static str;
    const LANE: Lane = Lane::Default;
    const RETRY: RetryPolicy = RetryPolicy::DEFAULT;
    /// How long one run may take. A lane's slowest job sets the limit of the whole lane.
    const TIMEOUT: Duration = Duration::from_secs(120);
    /// Of the stored payload. An old payload must always parse; raise it when its meaning changes.
    const VERSION: i16 = 1;
    /// Higher runs earlier among the jobs of one account in one lane.
    const PRIORITY: i16 = 0;

    /// At most one live job per kind and key.
    fn key(&self) -> String;

    /// The account whose turn and whose concurrency this job takes; none for the house's own work.
    fn account_id(&self) -> Option<&str> {
        None
    }
}

/// Separate worker pools, so that one kind of work cannot keep another waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Charges, invoices, numbers: what costs or earns money.
    Money,
    /// Calls that apps ask for: somebody has pressed a button. Who calls in is answered without a job.
    Voice,
    Default,
    /// Sweeps and everything that may take its time.
    Bulk,
}

impl Lane {
    pub const ALL: [Lane; 4] = [Lane::Money, Lane::Voice, Lane::Default, Lane::Bulk];

    /// As stored in the queue.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Money => "money",
            Lane::Voice => "voice",
            Lane::Default => "default",
            Lane::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Lane {
    type Err = String;

    fn from_str(text: &str) -> Result<Lane, String> {
        Lane::ALL
            .into_iter()
            .find(|lane| lane.as_str() == text)
            .ok_or_else(|| {
                format!("there is no lane {text:?}; the lanes are money, voice, default and bulk")
            })
    }
}

/// When a failed run is tried again: a random moment up to `base * 2^failures`, at most `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failures after which the job is dead.
    pub attempts_max: i32,
    pub base: Duration,
    pub cap: Duration,
}

impl RetryPolicy {
    pub const DEFAULT: RetryPolicy = RetryPolicy {
        attempts_max: 20,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(3600),
    };

    /// The delay before the next run. `failures` counts the one that just happened (1 for the
    /// first); `luck` is uniform in `0.0..1.0`.
    ///
    /// Full jitter: a thousand jobs that failed together come back spread over the whole span.
    pub fn delay(&self, failures: i32, luck: f64) -> Duration {
        let doublings = failures.clamp(0, 30) as u32;
        let span = self.base.saturating_mul(1 << doublings).min(self.cap);
        span.mul_f64(luck.clamp(0.0, 1.0))
    }
}

/// A job ready to be stored, its type forgotten.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub kind: &'static str,
    pub key: String,
    pub account_id: Option<String>,
    pub lane: Lane,
    pub priority: i16,
    pub attempts_max: i32,
    pub version: i16,
    pub payload: Value,
    /// None: now, by the database's clock.
    pub run_at: Option<DateTime<Utc>>,
}

impl NewJob {
    pub fn of<J: Job>(job: &J) -> NewJob {
        NewJob {
            kind: J::KIND,
            key: job.key(),
            account_id: job.account_id().map(str::to_owned),
            lane: J::LANE,
            priority: J::PRIORITY,
            attempts_max: J::RETRY.attempts_max,
            version: J::VERSION,
            payload: serde_json::to_value(job).expect("a payload is plain data"),
            run_at: None,
        }
    }

    /// In the turn of this account, which the payload does not name; in the house's own where none
    /// is known.
    pub fn of_account(self, account_id: Option<String>) -> NewJob {
        NewJob { account_id, ..self }
    }

    pub fn at(self, run_at: DateTime<Utc>) -> NewJob {
        NewJob {
            run_at: Some(run_at),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lane_reads_back_from_its_name() {
        for lane in Lane::ALL {
            assert_eq!(lane.as_str().parse(), Ok(lane));
        }
        assert!("fast".parse::<Lane>().is_err());
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_the_doubled_base_and_the_cap(failures in 0..1000i32, luck in 0.0..1.0f64) {
            let policy = RetryPolicy::DEFAULT;
            let delay = policy.delay(failures, luck);
            prop_assert!(delay <= policy.cap);
            prop_assert!(delay <= policy.base.saturating_mul(1 << failures.clamp(0, 30)));
        }
    }
}
