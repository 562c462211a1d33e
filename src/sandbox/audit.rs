//! What was asked of the sandbox, and whether it did anything.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    faults::Fault,
    wire::{Provider, Reply, Request},
};

/// More than any demo or test makes; beyond it the oldest are forgotten.
const CALLS_MAX: usize = 200_000;

/// What a call did to the provider's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Not known yet: in progress, or waiting to be carried out late.
    Pending,
    /// Nothing: a look, a refusal, a fault before the effect.
    Nothing,
    /// The answer of an earlier call with the same idempotency key.
    Replayed,
    Done,
}

/// One call of one of the providers.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    pub at: DateTime<Utc>,
    pub provider: Provider,
    pub method: String,
    pub path: String,
    /// SHA-256 over method, path and parameters: equal for equal requests.
    pub params_hash: String,
    pub idempotency_key: Option<String>,
    /// What went wrong by a rule.
    pub fault: Option<&'static str>,
    pub effect: Effect,
    /// The status sent; none when the connection was cut.
    pub status: Option<u16>,
}

/// All calls in the order of their arrival.
#[derive(Default)]
pub(super) struct Audit {
    calls: VecDeque<Call>,
    forgotten: usize,
}

impl Audit {
    /// Note a call; the number returned names it later.
    pub fn begin(&mut self, request: &Request, fault: Option<&Fault>, now: DateTime<Utc>) -> usize {
        if self.calls.len() == CALLS_MAX {
            self.calls.pop_front();
            self.forgotten += 1;
        }
        self.calls.push_back(Call {
            at: now,
            provider: request.provider,
            method: request.method.clone(),
            path: request.path.clone(),
            params_hash: request.fingerprint(),
            idempotency_key: request.idempotency_key.clone(),
            fault: fault.map(Fault::name),
            effect: Effect::Pending,
            status: None,
        });
        self.forgotten + self.calls.len() - 1
    }

    pub fn set_effect(&mut self, number: usize, effect: Effect) {
        if let Some(call) = self.call(number) {
            call.effect = effect;
        }
    }

    pub fn set_status(&mut self, number: usize, status: u16) {
        if let Some(call) = self.call(number) {
            call.status = Some(status);
        }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    pub fn count(&self) -> usize {
        self.forgotten + self.calls.len()
    }

    fn call(&mut self, number: usize) -> Option<&mut Call> {
        self.calls.get_mut(number.checked_sub(self.forgotten)?)
    }
}

/// What a carried-out request did, by its answer.
pub(super) fn effect_of(request: &Request, reply: &Reply) -> Effect {
    if request.is_write() && reply.is_executed && reply.status < 300 {
        Effect::Done
    } else {
        Effect::Nothing
    }
}
