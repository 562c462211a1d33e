//! Random lives of one account against a model of Stripe: usage that is late, doubled and taken back, plans that change,
//! requests that are lost, late, repeated or answered too late, workers that die anywhere. Whatever happens, in the end
//! each period has been charged what it comes to, once, to the cent.
//!
//! The model is ours, and so are the workers here; what they decide is decided by the functions the service decides with.
//! A fault is a mistake of these workers, and each must show.

use chrono::{DateTime, TimeDelta, Utc};

use self::{
    book::{Book, Event},
    faults::Fault,
    script::{Happening, Script, minutes},
    stripe::{Effect, Stripe},
};
use super::Revision;
use crate::{dice::Dice, outside::Answer};

mod book;
mod calls;
mod closing;
mod faults;
mod invoicing;
mod judge;
mod oracle;
mod script;
mod stripe;
mod tests;
mod worker;
mod wrong;

/// An answer on its way to a worker that was taken for dead.
#[derive(Debug, Clone)]
struct Answered {
    at: DateTime<Utc>,
    effect: Effect,
    attempt: u32,
    answer: Answer,
}

/// A worker that has read a period, and was taken for dead before it wrote.
#[derive(Debug)]
struct Stalled {
    wakes_at: DateTime<Utc>,
    period: usize,
    revisions: Vec<Revision>,
}

/// One life of one account.
struct History {
    script: Script,
    stripe: Stripe,
    book: Book,
    now: DateTime<Utc>,
    dice: Dice,
    fault: Option<Fault>,
    answered: Vec<Answered>,
    stalled: Vec<Stalled>,
    /// Until this run's worker dies.
    steps_left: usize,
    /// Nothing goes wrong any more.
    is_calm: bool,
    /// An effect was had twice, and a worker saw it.
    is_doubled: bool,
    /// What happened, where somebody wants to know.
    trace: Option<Vec<String>>,
}

impl History {
    fn new(seed: u64, fault: Option<Fault>) -> History {
        let mut dice = Dice(seed);
        let script = Script::new(&mut dice);
        History {
            stripe: Stripe::new(&script.renewals),
            book: Book::default(),
            now: script.began_at,
            dice,
            fault,
            answered: Vec::new(),
            stalled: Vec::new(),
            steps_left: 0,
            is_calm: false,
            is_doubled: false,
            trace: None,
            script,
        }
    }

    /// Everything that happens, with workers in between, and at last time to come to an end in peace.
    fn live(&mut self) {
        self.plan_periods();
        let mut runs_at = None;
        for place in 0..self.script.agenda.len() {
            let (at, what) = self.script.agenda[place];
            while let Some(due) = runs_at.filter(|due| *due < at) {
                self.pass_to(due);
                runs_at = self.run().then(|| due + self.pause());
            }
            self.happen(at, what);
            runs_at = runs_at.or_else(|| Some(at + minutes(&mut self.dice, 90)));
        }
        self.is_calm = true;
        for _ in 0..40 {
            self.pass_to(self.now + TimeDelta::hours(5));
            let wants_more = self.run();
            if !wants_more && self.answered.is_empty() && self.stalled.is_empty() {
                break;
            }
        }
    }

    fn happen(&mut self, at: DateTime<Utc>, what: Happening) {
        if what == Happening::Turn {
            // Until then the old plan was held, and that had been seen.
            self.pass_to(at - TimeDelta::microseconds(1));
            self.plan_periods();
        }
        self.pass_to(at);
        self.note(|| format!("{what:?}"));
        match what {
            Happening::Turn => self.plan_periods(),
            Happening::Renewed => {}
            Happening::Reported(fact) => self.store(fact),
        }
    }

    /// The first report of a fact is stored, the others are copies.
    fn store(&mut self, fact: usize) {
        let is_new = self.book.seen.insert(fact);
        if !is_new {
            self.note(|| "it is a copy".to_owned());
        }
        if !is_new && self.fault != Some(Fault::UsageNotDeduped) {
            return;
        }
        let told = self.script.facts[fact];
        let occurred_at = match self.fault {
            Some(Fault::CountedOnArrival) => self.now,
            _ => told.occurred_at,
        };
        self.book.usage.push(Event {
            meter: told.meter,
            quantity: told.quantity,
            occurred_at,
        });
        let mut periods = self.book.periods.iter_mut();
        if let Some(row) = periods.find(|row| row.period.span.contains(occurred_at)) {
            row.is_stale = true;
        }
    }

    /// Until the next run, in minutes: at once, soon, in hours, or when everything was down for a day or two.
    fn pause(&mut self) -> TimeDelta {
        let below = [1, 10, 300, 60 * 48][self.dice.below(4) as usize];
        minutes(&mut self.dice, below)
    }

    fn pass_to(&mut self, at: DateTime<Utc>) {
        self.now = self.now.max(at);
        self.stripe.catch_up(self.now);
        while let Some(due) = self.answered.iter().position(|one| one.at <= self.now) {
            let answered = self.answered.remove(due);
            self.record_late(answered);
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {}", self.now.format("%F %T"), text()));
        }
    }
}
