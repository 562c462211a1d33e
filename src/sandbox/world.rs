//! Everything the sandbox knows, behind one lock that is never held across an await.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    audit::{Audit, Effect, effect_of},
    faults::{Fault, Faults},
    speech::Speech,
    stripe::{self, Stripe},
    twilio::{self, Twilio},
    voipms::{self, Voipms},
    wire::{Provider, Reply, Request},
};

/// A request whose client has long been cut off, to be carried out later.
struct Late {
    due: DateTime<Utc>,
    call: usize,
    request: Request,
}

pub(super) struct World {
    pub stripe: Stripe,
    pub twilio: Twilio,
    pub speech: Speech,
    pub voipms: Voipms,
    pub faults: Faults,
    pub audit: Audit,
    late: Vec<Late>,
}

/// How a call ends for its client.
pub(super) enum End {
    Answer(Reply),
    Cut,
}

/// The first half of a call.
pub(super) enum Beginning {
    /// Over already: a fault before the effect, or an answer that was known.
    Over(End),
    /// To be carried out after that time, by [`World::carry_out`].
    Begun {
        after: Duration,
        fault: Option<Fault>,
    },
}

impl World {
    pub fn new(
        stripe: Stripe,
        twilio: Twilio,
        speech: Speech,
        voipms: Voipms,
        faults: Faults,
    ) -> World {
        World {
            stripe,
            twilio,
            speech,
            voipms,
            faults,
            audit: Audit::default(),
            late: Vec::new(),
        }
    }

    /// Note a call, let a rule strike, and claim its idempotency key.
    pub fn begin(&mut self, request: &Request, now: DateTime<Utc>) -> (usize, Beginning) {
        self.catch_up(now);
        let fault = self.faults.strike(request);
        let call = self.audit.begin(request, fault.as_ref(), now);
        (call, self.begin_with(call, request, fault, now))
    }

    fn begin_with(
        &mut self,
        call: usize,
        request: &Request,
        fault: Option<Fault>,
        now: DateTime<Utc>,
    ) -> Beginning {
        let nothing_done = match &fault {
            Some(Fault::TooManyRequests {
                retry_after_seconds,
            }) => Some(End::Answer(
                self.too_many_requests(request.provider, *retry_after_seconds),
            )),
            Some(Fault::Refuse { status, code }) => {
                Some(End::Answer(self.refusal(request.provider, *status, code)))
            }
            Some(Fault::Redirect { location }) => Some(End::Answer(
                Reply::empty(302).with_header("Location", location),
            )),
            Some(Fault::CutBeforeEffect) => Some(End::Cut),
            _ => None,
        };
        if let Some(end) = nothing_done {
            self.audit.set_effect(call, Effect::Nothing);
            return Beginning::Over(end);
        }
        if let Some(Fault::LateExecution { delay }) = fault {
            self.late.push(Late {
                due: later(now, delay),
                call,
                request: request.clone(),
            });
            return Beginning::Over(End::Cut);
        }
        if let Some(known) = self.claim(call, request, now) {
            return Beginning::Over(end_of(fault.as_ref(), known));
        }
        let after = match fault {
            Some(Fault::Latency { by }) => by,
            _ => Duration::ZERO,
        };
        Beginning::Begun { after, fault }
    }

    /// The second half of a call that has begun.
    pub fn carry_out(
        &mut self,
        call: usize,
        request: &Request,
        fault: Option<&Fault>,
        now: DateTime<Utc>,
    ) -> End {
        self.catch_up(now);
        let reply = match fault {
            Some(Fault::ErrorBefore { status }) => {
                self.audit.set_effect(call, Effect::Nothing);
                self.internal_error(request.provider, *status)
            }
            _ => {
                let reply = self.execute(request, now);
                self.audit.set_effect(call, effect_of(request, &reply));
                match fault {
                    Some(Fault::ErrorAfter { status }) => {
                        self.internal_error(request.provider, *status)
                    }
                    _ => reply,
                }
            }
        };
        let reply = self.settle(request, reply);
        end_of(fault, reply)
    }

    /// Let everything happen that fell due: late executions and the lives of subscriptions, in the
    /// order of time.
    pub fn catch_up(&mut self, now: DateTime<Utc>) {
        loop {
            let due = self
                .late
                .iter()
                .enumerate()
                .filter(|(_, late)| late.due <= now);
            let Some((position, _)) = due.min_by_key(|(_, late)| late.due) else {
                break;
            };
            let Late { due, call, request } = self.late.remove(position);
            self.stripe.catch_up(due);
            if self.claim(call, &request, due).is_none() {
                self.carry_out_late(call, &request, due);
            }
        }
        self.stripe.catch_up(now);
    }

    fn carry_out_late(&mut self, call: usize, request: &Request, at: DateTime<Utc>) {
        let reply = self.execute(request, at);
        self.audit.set_effect(call, effect_of(request, &reply));
        self.settle(request, reply);
    }

    /// When something is next to happen by itself.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        let late = self.late.iter().map(|late| late.due);
        late.chain(self.stripe.next_due()).min()
    }

    /// Requests still to be carried out.
    pub fn late_count(&self) -> usize {
        self.late.len()
    }

    /// The answer without an execution, if there is one; else the idempotency key is taken.
    fn claim(&mut self, call: usize, request: &Request, now: DateTime<Utc>) -> Option<Reply> {
        let known = match request.provider {
            Provider::Stripe => self.stripe.claim(request, now)?,
            Provider::Twilio | Provider::Speech | Provider::Voipms => return None,
        };
        let known = self.stripe.with_request_id(known);
        let effect = if known.is_executed {
            Effect::Replayed
        } else {
            Effect::Nothing
        };
        self.audit.set_effect(call, effect);
        Some(known)
    }

    fn execute(&mut self, request: &Request, now: DateTime<Utc>) -> Reply {
        match request.provider {
            Provider::Stripe => self.stripe.answer(request, now),
            Provider::Twilio => self.twilio.answer(request, now),
            Provider::Speech => self.speech.answer(request, &self.twilio),
            Provider::Voipms => self.voipms.answer(request, now),
        }
    }

    fn settle(&mut self, request: &Request, reply: Reply) -> Reply {
        match request.provider {
            Provider::Stripe => self.stripe.settle(request, reply),
            Provider::Twilio => self.twilio.with_request_id(reply),
            Provider::Speech | Provider::Voipms => reply,
        }
    }
}

fn later(now: DateTime<Utc>, delay: Duration) -> DateTime<Utc> {
    let due = TimeDelta::from_std(delay)
        .ok()
        .and_then(|delay| now.checked_add_signed(delay));
    due.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn end_of(fault: Option<&Fault>, reply: Reply) -> End {
    match fault {
        Some(Fault::CutAfterEffect) => End::Cut,
        _ => End::Answer(reply),
    }
}

/// What goes wrong, in each provider's own words.
impl World {
    fn too_many_requests(&self, provider: Provider, retry_after_seconds: Option<u32>) -> Reply {
        let reply = match provider {
            Provider::Stripe => stripe::errors::too_many_requests(),
            Provider::Twilio => twilio::errors::too_many_requests(),
            Provider::Speech => {
                let said = "Rate limit reached for requests";
                self.speech.error(429, "rate_limit_exceeded", said)
            }
            Provider::Voipms => Reply::empty(429),
        };
        match retry_after_seconds {
            Some(seconds) => reply.with_header("Retry-After", seconds.to_string()),
            None => reply,
        }
    }

    fn internal_error(&self, provider: Provider, status: u16) -> Reply {
        match provider {
            Provider::Stripe => stripe::errors::internal(status),
            Provider::Twilio => twilio::errors::internal(status),
            Provider::Speech => {
                let said = "The server had an error while processing your request";
                self.speech.error(status, "server_error", said)
            }
            Provider::Voipms => Reply::empty(status),
        }
    }

    fn refusal(&self, provider: Provider, status: u16, code: &str) -> Reply {
        let said = "Refused by a rule.";
        match provider {
            Provider::Stripe => {
                stripe::errors::error(status, "invalid_request_error", Some(code), said)
            }
            Provider::Twilio => twilio::errors::error(status, code.parse().unwrap_or(20001), said),
            Provider::Speech => self.speech.error(status, code, said),
            Provider::Voipms => voipms::word(code),
        }
    }
}
