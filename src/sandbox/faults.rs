//! What may go wrong with a call, and the rules that say when.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::wire::{Provider, Request};

/// One way a call goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The call is begun at once and carried out, then answered, so much later.
    Latency {
        #[serde(with = "millis", rename = "ms")]
        by: Duration,
    },
    /// 429, nothing done.
    TooManyRequests { retry_after_seconds: Option<u32> },
    /// An error status and nothing done. Stripe keeps a 500 under the idempotency key, nothing else.
    ErrorBefore { status: u16 },
    /// Carried out, and an error status all the same.
    ErrorAfter { status: u16 },
    /// The connection closes without an answer; nothing done.
    CutBeforeEffect,
    /// The connection closes without an answer; carried out.
    CutAfterEffect,
    /// The connection closes without an answer; carried out when the sandbox's clock has moved on by `delay`.
    LateExecution {
        #[serde(with = "millis", rename = "ms")]
        delay: Duration,
    },
    /// A definite no with that status and code; nothing done.
    Refuse { status: u16, code: String },
    /// Sent elsewhere; nothing done.
    Redirect { location: String },
}

impl Fault {
    /// As the audit shows it.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Latency { .. } => "latency",
            Fault::TooManyRequests { .. } => "too many requests",
            Fault::ErrorBefore { .. } => "error before the effect",
            Fault::ErrorAfter { .. } => "error after the effect",
            Fault::CutBeforeEffect => "cut before the effect",
            Fault::CutAfterEffect => "cut after the effect",
            Fault::LateExecution { .. } => "late execution",
            Fault::Refuse { .. } => "refused",
            Fault::Redirect { .. } => "sent elsewhere",
        }
    }
}

/// When a rule that matches a call strikes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    #[default]
    Always,
    /// The nth matching call, counted from 1.
    Nth(u32),
    /// The first so many matching calls.
    First(u32),
    /// By the seeded dice, 0.0 to 1.0.
    Share(f64),
}

impl When {
    /// Whether the matching call of that count is struck.
    pub(super) fn strikes(self, count: u32, dice: &mut StdRng) -> bool {
        match self {
            When::Always => true,
            When::Nth(nth) => count == nth,
            When::First(times) => count <= times,
            When::Share(share) => dice.random_bool(share.clamp(0.0, 1.0)),
        }
    }
}

/// A fault and the calls it is for. Rules are asked in their order; the first that strikes wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Any provider when absent.
    #[serde(default)]
    pub provider: Option<Provider>,
    /// In capitals; any method when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Part of the path; the empty one is part of every path.
    #[serde(default)]
    pub path_contains: String,
    #[serde(default)]
    pub when: When,
    pub fault: Fault,
}

impl Rule {
    /// For every call of every provider.
    pub fn any(when: When, fault: Fault) -> Rule {
        Rule {
            provider: None,
            method: None,
            path_contains: String::new(),
            when,
            fault,
        }
    }

    /// For the calls of one provider whose path contains that.
    pub fn on(
        provider: Provider,
        method: &str,
        path_contains: &str,
        when: When,
        fault: Fault,
    ) -> Rule {
        Rule {
            provider: Some(provider),
            method: Some(method.to_owned()),
            path_contains: path_contains.to_owned(),
            when,
            fault,
        }
    }

    /// One rule per kind of fault that a client has to survive, each for that share of all calls.
    ///
    /// `delay` is the latency, and how late a late execution is.
    pub fn every_fault(share: f64, delay: Duration) -> Vec<Rule> {
        let faults = [
            Fault::Latency { by: delay },
            Fault::TooManyRequests {
                retry_after_seconds: None,
            },
            Fault::ErrorBefore { status: 500 },
            Fault::ErrorBefore { status: 503 },
            Fault::ErrorAfter { status: 500 },
            Fault::CutBeforeEffect,
            Fault::CutAfterEffect,
            Fault::LateExecution { delay },
        ];
        let rules = faults.into_iter();
        rules
            .map(|fault| Rule::any(When::Share(share), fault))
            .collect()
    }

    fn is_for(&self, request: &Request) -> bool {
        self.provider
            .is_none_or(|provider| provider == request.provider)
            && self
                .method
                .as_ref()
                .is_none_or(|method| *method == request.method)
            && request.path.contains(&self.path_contains)
    }
}

/// The rules in force, with the dice and the counts.
pub(super) struct Faults {
    dice: StdRng,
    armed: Vec<(Rule, u32)>,
}

impl Faults {
    pub fn new(seed: u64) -> Faults {
        Faults {
            dice: StdRng::seed_from_u64(seed),
            armed: Vec::new(),
        }
    }

    pub fn add(&mut self, rules: Vec<Rule>) {
        self.armed.extend(rules.into_iter().map(|rule| (rule, 0)));
    }

    pub fn clear(&mut self) {
        self.armed.clear();
    }

    pub fn rules(&self) -> Vec<Rule> {
        self.armed.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// What goes wrong with this call. Every matching rule up to the one that strikes counts it.
    pub fn strike(&mut self, request: &Request) -> Option<Fault> {
        for (rule, count) in &mut self.armed {
            if !rule.is_for(request) {
                continue;
            }
            *count += 1;
            if rule.when.strikes(*count, &mut self.dice) {
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

/// Durations as whole milliseconds.
pub(super) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(when: When) -> Vec<u32> {
        let mut dice = StdRng::seed_from_u64(1);
        (1..=5)
            .filter(|count| when.strikes(*count, &mut dice))
            .collect()
    }

    #[test]
    fn a_rule_strikes_when_it_says() {
        assert_eq!(struck(When::Always), [1, 2, 3, 4, 5]);
        assert_eq!(struck(When::Nth(3)), [3]);
        assert_eq!(struck(When::First(2)), [1, 2]);
        assert_eq!(struck(When::Share(1.0)), [1, 2, 3, 4, 5]);
        assert!(struck(When::Share(0.0)).is_empty());
    }
}
