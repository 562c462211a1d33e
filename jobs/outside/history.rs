//! Random histories against a model of a provider: whatever is lost, late, doubled or crashed, the
//! effect is there once in the end. Each rule that is taken away lets doubles through.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::dice::Dice;

/// The model's promise, and half of what the rules are given: nothing happens later than this.
const LATE_MAX_MINUTES: i64 = 120;
const QUIET: TimeDelta = TimeDelta::minutes(2 * LATE_MAX_MINUTES);
const KEY_LIVES_FOR: TimeDelta = TimeDelta::hours(24);

type Next = fn(&Row, Discipline, TimeDelta, DateTime<Utc>, Option<DateTime<Utc>>) -> Step;
type After = fn(&Row, &Answer) -> Row;

/// One request as the provider sees it. The key tells epochs apart, the candidate what is bought.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Request {
    candidate: usize,
    epoch: i32,
}

#[derive(Clone)]
enum Reply {
    Made(String),
    Taken,
    Failed,
}

/// What a provider does with requests, and nothing else.
struct Provider {
    discipline: Discipline,
    /// The candidate of each effect it had.
    effects: Vec<usize>,
    replies: HashMap<Request, (DateTime<Utc>, Reply)>,
    late: Vec<(DateTime<Utc>, Request)>,
}

impl Provider {
    fn carry_out(&mut self, request: &Request, now: DateTime<Utc>, fails: bool) -> Reply {
        if self.discipline == Discipline::Keyed {
            let stored = self.replies.get(request);
            if let Some((at, reply)) = stored.filter(|(at, _)| now < *at + KEY_LIVES_FOR) {
                let _ = at;
                return reply.clone();
            }
        }
        let reply = if fails {
            Reply::Failed
        } else {
            self.effect(request)
        };
        self.replies.insert(request.clone(), (now, reply.clone()));
        reply
    }

    fn effect(&mut self, request: &Request) -> Reply {
        let mut numbers = self.effects.iter();
        if self.discipline == Discipline::Exact {
            if let Some(position) = numbers.position(|had| *had == request.candidate) {
                return Reply::Made(position.to_string());
            }
            // A purchase on its way reserves the number, against ourselves too.
            if self
                .late
                .iter()
                .any(|(_, late)| late.candidate == request.candidate)
            {
                return Reply::Taken;
            }
        }
        self.effects.push(request.candidate);
        Reply::Made((self.effects.len() - 1).to_string())
    }

    fn catch_up(&mut self, now: DateTime<Utc>) {
        self.late.sort_by_key(|(at, _)| *at);
        while self.late.first().is_some_and(|(at, _)| *at <= now) {
            let (at, request) = self.late.remove(0);
            self.carry_out(&request, at, false);
        }
    }

    fn look(&self, candidate: usize) -> Option<String> {
        let position = self.effects.iter().position(|had| *had == candidate);
        position.map(|position| position.to_string())
    }
}

/// One wanted effect, its row, and the worker that tries.
struct History {
    provider: Provider,
    row: Row,
    candidate: usize,
    now: DateTime<Utc>,
    dice: Dice,
    next: Next,
    after: After,
}

impl History {
    fn new(seed: u64, discipline: Discipline, next: Next, after: After) -> History {
        History {
            provider: Provider {
                discipline,
                effects: Vec::new(),
                replies: HashMap::new(),
                late: Vec::new(),
            },
            row: Row::planned(),
            candidate: 0,
            now: DateTime::from_timestamp(1_800_000_000, 0).expect("an instant in range"),
            dice: Dice(seed),
            next,
            after,
        }
    }

    fn pass(&mut self, time: TimeDelta) {
        self.now += time;
        self.provider.catch_up(self.now);
    }

    /// One run of the job: as `journal::once` does it.
    fn run(&mut self, has_faults: bool) {
        let mut absent_at = None;
        for _ in 0..4 {
            let discipline = self.provider.discipline;
            match (self.next)(&self.row, discipline, QUIET, self.now, absent_at) {
                Step::AlreadyDone(_) | Step::WaitUntil(_) | Step::Dead(_) => return,
                Step::Refused(_) => {
                    self.next_candidate();
                    return;
                }
                Step::LookFirst => match self.provider.look(self.candidate) {
                    Some(ext_ref) => {
                        self.row = (self.after)(&self.row, &Answer::Done(ext_ref));
                        return;
                    }
                    None => absent_at = Some(self.now),
                },
                Step::Send { epoch } => {
                    self.row = sent(&self.row, epoch, self.now);
                    if !self.send(epoch, has_faults) {
                        return;
                    }
                    absent_at = None;
                }
            }
        }
    }

    fn next_candidate(&mut self) {
        self.candidate += 1;
        self.row = Row::planned();
    }

    /// Whether to look at the row again at once.
    fn send(&mut self, epoch: i32, has_faults: bool) -> bool {
        let request = Request {
            candidate: self.candidate,
            epoch,
        };
        let fault = if has_faults { self.dice.below(10) } else { 9 };
        let answer = match fault {
            // A crash between the row and the request.
            0 => return false,
            // Lost before it arrived, for all we know.
            1 => Answer::Unknown {
                may_be_stored: false,
            },
            2 => Answer::NothingDone,
            3 => {
                let delay = TimeDelta::minutes(self.dice.below(LATE_MAX_MINUTES as u64) as i64 + 1);
                self.provider.late.push((self.now + delay, request));
                Answer::Unknown {
                    may_be_stored: false,
                }
            }
            4 => {
                self.provider.carry_out(&request, self.now, true);
                Answer::Unknown {
                    may_be_stored: true,
                }
            }
            // Carried out; the answer is lost, or the worker with it.
            5 => {
                self.provider.carry_out(&request, self.now, false);
                Answer::Unknown {
                    may_be_stored: true,
                }
            }
            6 => {
                self.provider.carry_out(&request, self.now, false);
                return false;
            }
            // A gateway gave up on a request that goes on.
            7 => {
                let delay = TimeDelta::minutes(self.dice.below(LATE_MAX_MINUTES as u64) as i64 + 1);
                self.provider.late.push((self.now + delay, request));
                Answer::Unknown {
                    may_be_stored: true,
                }
            }
            _ => match self.provider.carry_out(&request, self.now, false) {
                Reply::Made(ext_ref) => Answer::Done(ext_ref),
                Reply::Failed => Answer::Unknown {
                    may_be_stored: true,
                },
                Reply::Taken => Answer::Refused(Refusal {
                    status: 400,
                    code: "21422".into(),
                    message: String::new(),
                }),
            },
        };
        self.row = (self.after)(&self.row, &answer);
        match answer {
            Answer::Refused(_) if self.row.state == State::Planned => {
                self.next_candidate();
                false
            }
            Answer::Refused(_) => true,
            _ => false,
        }
    }
}

/// How many of so many histories do not end with exactly one effect, and that one recorded.
fn bad_histories(count: u64, discipline: Discipline, next: Next, after: After) -> u64 {
    (0..count)
        .filter(|seed| {
            let mut history = History::new(*seed, discipline, next, after);
            for _ in 0..history.dice.below(12) {
                history.run(true);
                let minutes = match history.dice.below(4) {
                    0 => 0,
                    1 => history.dice.below(10),
                    2 => history.dice.below(300),
                    _ => history.dice.below(60 * 30),
                };
                history.pass(TimeDelta::minutes(minutes as i64));
            }
            for _ in 0..8 {
                history.run(false);
                history.pass(TimeDelta::hours(5));
            }
            history.row.state != State::Done || history.provider.effects.len() != 1
        })
        .count() as u64
}

const HISTORIES: u64 = 20_000;
const DISCIPLINES: [Discipline; 4] = [
    Discipline::Keyed,
    Discipline::Exact,
    Discipline::LookedUp,
    Discipline::Recognised,
];

#[test]
fn every_history_ends_with_exactly_one_effect() {
    for discipline in DISCIPLINES {
        let bad = bad_histories(HISTORIES, discipline, next, after);
        assert_eq!(bad, 0, "{discipline:?}");
    }
}

#[test]
fn without_the_quiet_time_there_are_doubles() {
    let hasty: Next = |row, discipline, _, now, absent_at| {
        next(row, discipline, TimeDelta::zero(), now, absent_at)
    };
    for discipline in DISCIPLINES {
        assert!(
            bad_histories(HISTORIES, discipline, hasty, after) > 20,
            "{discipline:?}"
        );
    }
}

#[test]
fn with_a_key_that_is_used_for_ever_there_are_doubles() {
    let trusting: Next = |row, discipline, quiet, now, absent_at| {
        let row = Row {
            first_sent_at: Some(now),
            ..row.clone()
        };
        next(&row, discipline, quiet, now, absent_at)
    };
    assert!(bad_histories(HISTORIES, Discipline::Keyed, trusting, after) > 20);
}

#[test]
fn with_a_new_key_after_an_error_and_no_look_there_are_doubles() {
    let blind: Next = |row, discipline, quiet, now, absent_at| match row {
        Row {
            state: State::Sent,
            must_look: true,
            epoch,
            ..
        } => Step::Send { epoch: epoch + 1 },
        row => next(row, discipline, quiet, now, absent_at),
    };
    assert!(bad_histories(HISTORIES, Discipline::Keyed, blind, after) > 20);
}

#[test]
fn with_a_refusal_that_counts_at_once_there_are_doubles() {
    let quick: After = |row, answer| match answer {
        Answer::Refused(_) => refused(row),
        answer => after(row, answer),
    };
    assert!(bad_histories(HISTORIES, Discipline::Exact, next, quick) > 20);
}
