//! One effect at Stripe, as the journal sees to it: written ahead, asked for, recorded, found again. What may go
//! wrong with a request goes wrong here.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Answered, History,
    faults::Fault,
    script::minutes,
    stripe::{Effect, Key, Reply, Request},
};
use crate::outside::{self, Answer, Discipline, Refusal, Row, State, Step};

/// The model's promise, and half of what the rules are given: nothing happens later than this.
pub const LATE_MAX_MINUTES: u64 = 120;
const QUIET: TimeDelta = TimeDelta::minutes(2 * LATE_MAX_MINUTES as i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done(usize),
    /// A definite no, with nothing of it open.
    Refused,
    /// Not yet; another run goes on.
    Later,
    /// The worker died.
    Crashed,
}

/// What became of a request.
enum Sent {
    Answered(Answer),
    Crashed,
}

impl History {
    /// As `journal::once` does it.
    pub fn once(&mut self, effect: Effect, request: Request) -> End {
        let mut absent_at = None;
        for _ in 0..4 {
            let row = self.book.call(effect).row.clone();
            match self.next(effect, &row, absent_at) {
                Step::AlreadyDone(ext_ref) => return End::Done(place_of(&ext_ref)),
                Step::WaitUntil(_) | Step::Dead(_) => {
                    self.note(|| format!("{effect:?} waits"));
                    return End::Later;
                }
                Step::Refused(_) => {
                    self.book.call(effect).row = outside::refused(&row);
                    return End::Refused;
                }
                Step::LookFirst => match self.stripe.look(request, self.now) {
                    Some(place) => {
                        self.note(|| format!("{effect:?} is found"));
                        return self.record(effect, place);
                    }
                    None => absent_at = Some(self.now),
                },
                Step::Send { epoch } => {
                    let row = outside::sent(&row, epoch, self.now);
                    if let Some(end) = self.ask(effect, request, row) {
                        return end;
                    }
                    absent_at = None;
                }
            }
        }
        End::Later
    }

    fn next(&self, effect: Effect, row: &Row, absent_at: Option<DateTime<Utc>>) -> Step {
        let discipline = match effect {
            // An invoice is finalized once, whatever the key.
            Effect::Finalize { .. } => Discipline::Exact,
            Effect::Invoice { .. } | Effect::Item { .. } => Discipline::Keyed,
        };
        let decide = |row: &Row, quiet| outside::next(row, discipline, quiet, self.now, absent_at);
        match self.fault {
            Some(Fault::KeyForEver) => {
                let trusted = Row {
                    first_sent_at: Some(self.now),
                    ..row.clone()
                };
                decide(&trusted, QUIET)
            }
            Some(Fault::NewKeyWithoutALook) if row.state == State::Sent && row.must_look => {
                Step::Send {
                    epoch: row.epoch + 1,
                }
            }
            Some(Fault::NoQuietTime) => decide(row, TimeDelta::zero()),
            _ => decide(row, QUIET),
        }
    }

    /// Write ahead, ask, record. None: refused while an earlier request is open, so look again.
    fn ask(&mut self, effect: Effect, request: Request, row: Row) -> Option<End> {
        let call = self.book.call(effect);
        call.row = row.clone();
        call.attempt += 1;
        let attempt = call.attempt;
        let is_marked = self.is_marked_before(effect);
        if is_marked {
            let marked = Answer::Done("0".to_owned());
            self.book.call(effect).row = outside::after(&row, &marked);
        }
        let key = self.key(effect, row.epoch, attempt);
        self.note(|| format!("ask {request:?} with {key:?}"));
        let answer = match self.send(effect, key, request, attempt) {
            Sent::Answered(answer) => answer,
            Sent::Crashed => return Some(End::Crashed),
        };
        self.note(|| format!("answer {answer:?}"));
        if let Answer::Done(ext_ref) = &answer {
            return Some(self.record(effect, place_of(ext_ref)));
        }
        if is_marked {
            return Some(End::Later);
        }
        let after = outside::after(&row, &answer);
        let is_settled = after.state == State::Planned;
        self.book.call(effect).row = after;
        match answer {
            Answer::Refused(_) if is_settled => Some(End::Refused),
            Answer::Refused(_) => None,
            _ => Some(End::Later),
        }
    }

    /// Of an invoice the place is needed, so it cannot be marked before it is known.
    fn is_marked_before(&self, effect: Effect) -> bool {
        let needs_place = matches!(effect, Effect::Invoice { .. });
        self.fault == Some(Fault::MarkedBeforeTheCall) && !needs_place
    }

    fn key(&self, effect: Effect, epoch: i32, attempt: u32) -> Key {
        match self.fault {
            Some(Fault::NoKey) => None,
            Some(Fault::KeyPerAttempt) => Some((effect, epoch, attempt)),
            _ => Some((effect, epoch, 0)),
        }
    }

    fn send(&mut self, effect: Effect, key: Key, request: Request, attempt: u32) -> Sent {
        let unknown = |may_be_stored| Sent::Answered(Answer::Unknown { may_be_stored });
        let late_at = self.now + minutes(&mut self.dice, LATE_MAX_MINUTES) + TimeDelta::minutes(1);
        let mishap = if self.is_calm {
            u64::MAX
        } else {
            self.dice.below(20)
        };
        match mishap {
            // The worker dies before the request leaves.
            0 => Sent::Crashed,
            // It never arrives.
            1 => unknown(false),
            // Too many requests.
            2 => Sent::Answered(Answer::NothingDone),
            // It is cut, and goes on without us.
            3 => {
                self.stripe.carry_out_later(key, request, late_at);
                unknown(false)
            }
            // A gateway gives up on it, and it goes on without us.
            4 => {
                self.stripe.carry_out_later(key, request, late_at);
                unknown(true)
            }
            // A failure that is stored, without an effect and with one.
            5 => {
                self.stripe.fail(key, self.now);
                unknown(true)
            }
            6 => {
                let failed = Some(Reply::Failed);
                self.stripe.carry_out(key, request, self.now, failed);
                unknown(true)
            }
            // Carried out; the answer is lost, or the worker with it.
            7 => {
                self.stripe.carry_out(key, request, self.now, None);
                unknown(false)
            }
            8 => {
                self.stripe.carry_out(key, request, self.now, None);
                Sent::Crashed
            }
            // Its lease runs out while it waits; it comes back with an answer nobody waits for.
            9 | 10 => {
                let reply = self.stripe.carry_out(key, request, self.now, None);
                let at = self.now + minutes(&mut self.dice, 60 * 48);
                self.answered.push(Answered {
                    at,
                    effect,
                    attempt,
                    answer: answer_of(reply),
                });
                Sent::Crashed
            }
            _ => {
                let reply = self.stripe.carry_out(key, request, self.now, None);
                Sent::Answered(answer_of(reply))
            }
        }
    }

    /// A success counts from whichever attempt it comes; the first one stays.
    fn record(&mut self, effect: Effect, place: usize) -> End {
        let is_marked = self.is_marked_before(effect);
        let call = self.book.call(effect);
        if call.row.state == State::Done && !is_marked {
            let kept = call.row.ext_ref.as_deref().map(place_of);
            self.is_doubled |= kept != Some(place);
            return End::Done(kept.unwrap_or(place));
        }
        call.row = outside::after(&call.row, &Answer::Done(place.to_string()));
        End::Done(place)
    }

    /// A worker that was taken for dead records its answer.
    pub fn record_late(&mut self, answered: Answered) {
        self.note(|| format!("a late answer {answered:?}"));
        if let Answer::Done(ext_ref) = &answered.answer {
            self.record(answered.effect, place_of(ext_ref));
            return;
        }
        let call = self.book.call(answered.effect);
        if call.attempt == answered.attempt && call.row.state == State::Sent {
            call.row = outside::after(&call.row, &answered.answer);
        }
    }
}

fn answer_of(reply: Reply) -> Answer {
    match reply {
        Reply::Made(place) => Answer::Done(place.to_string()),
        Reply::Failed => Answer::Unknown {
            may_be_stored: true,
        },
        Reply::Refused => Answer::Refused(Refusal {
            status: 400,
            code: "invoice_not_editable".to_owned(),
            message: String::new(),
        }),
    }
}

fn place_of(ext_ref: &str) -> usize {
    ext_ref.parse().expect("the model gives places as ids")
}
