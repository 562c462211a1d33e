//! When an effect at a provider may be asked for, and when it must be looked for first.
//!
//! A row of the journal stands for one effect that is wanted once. It is committed as `sent` before
//! the request leaves, so whatever happens next, the row never claims less than what may be true.
//! [`next`] says what a run may do with it; [`sent`] and [`after`] say what the row becomes.
//!
//! Two facts carry the whole argument: a request is carried out at most `quiet` after it was sent,
//! and what a provider lists is complete. So a look that begins `quiet` after the last request, and
//! finds nothing, proves that nothing happened and that nothing will.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Stripe forgets a key after 24 h or more; from then on a repeat is a new request.
pub const KEY_IS_GOOD_FOR: TimeDelta = TimeDelta::hours(20);

/// What a provider offers against a doubled request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discipline {
    /// It knows our key and answers a repeat with the first answer (Stripe).
    Keyed,
    /// The request names its whole effect, so a repeat changes nothing (buy exactly this number,
    /// set this status).
    Exact,
    /// Every request makes another one; it can only be looked up (create a subaccount).
    LookedUp,
    /// The same, and nothing of it bears our mark: it is known by what was asked and when, so nothing that was there
    /// before the first request is it (place a call, send a message).
    Recognised,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing that was sent can still have an effect.
    Planned,
    /// A request is out; until its answer is recorded anything may be true.
    Sent,
    Done,
    /// Given up by a person.
    Dead,
}

/// A definite no of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

/// The row of one effect, as far as the rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub state: State,
    /// Part of the key; a new one begins only when nothing of the old one can have an effect.
    pub epoch: i32,
    /// Of this epoch.
    pub first_sent_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
    /// The first request of this epoch whose outcome nobody knows.
    pub unknown_since: Option<DateTime<Utc>>,
    /// The answer may be a stored failure: the same key would only repeat it.
    pub must_look: bool,
    /// Refused while an earlier request was still open; it counts once that one is settled.
    pub refusal: Option<Refusal>,
    pub ext_ref: Option<String>,
    pub last_error: Option<String>,
}

impl Row {
    /// A row nothing was sent for.
    pub fn planned() -> Row {
        Row {
            state: State::Planned,
            epoch: 0,
            first_sent_at: None,
            last_sent_at: None,
            unknown_since: None,
            must_look: false,
            refusal: None,
            ext_ref: None,
            last_error: None,
        }
    }
}

/// What a run may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send, with the key of this epoch.
    Send {
        epoch: i32,
    },
    /// Ask the provider whether it is there already.
    LookFirst,
    /// An open request may still be carried out until then.
    WaitUntil(DateTime<Utc>),
    AlreadyDone(String),
    Refused(Refusal),
    Dead(String),
}

/// The next step for a row. `absent_at` is when a look that found nothing began.
pub fn next(
    row: &Row,
    discipline: Discipline,
    quiet: TimeDelta,
    now: DateTime<Utc>,
    absent_at: Option<DateTime<Utc>>,
) -> Step {
    match row.state {
        State::Done => Step::AlreadyDone(row.ext_ref.clone().unwrap_or_default()),
        State::Dead => Step::Dead(row.last_error.clone().unwrap_or_default()),
        // The tag may be there from before this row was: a restored backup, a row made by hand.
        State::Planned if discipline == Discipline::LookedUp && absent_at.is_none() => {
            Step::LookFirst
        }
        State::Planned => Step::Send { epoch: row.epoch },
        State::Sent => next_of_open(row, discipline, quiet, now, absent_at),
    }
}

fn next_of_open(
    row: &Row,
    discipline: Discipline,
    quiet: TimeDelta,
    now: DateTime<Utc>,
    absent_at: Option<DateTime<Utc>>,
) -> Step {
    let last_sent_at = row.last_sent_at.unwrap_or(now);
    let key_is_good = row
        .first_sent_at
        .is_some_and(|first| now < first + KEY_IS_GOOD_FOR);
    if discipline == Discipline::Keyed && key_is_good && !row.must_look && row.refusal.is_none() {
        return Step::Send { epoch: row.epoch };
    }
    let Some(absent_at) = absent_at else {
        return Step::LookFirst;
    };
    let settled_at = last_sent_at + quiet;
    if absent_at >= settled_at {
        return match &row.refusal {
            Some(refusal) => Step::Refused(refusal.clone()),
            None => Step::Send {
                epoch: row.epoch + 1,
            },
        };
    }
    // Absent now, but an open request may still bring it: only a repeat that cannot add to it goes.
    if discipline == Discipline::Exact && row.refusal.is_none() && absent_at >= last_sent_at {
        return Step::Send { epoch: row.epoch };
    }
    Step::WaitUntil(settled_at)
}

/// The row as it is committed before the request leaves.
pub fn sent(row: &Row, epoch: i32, now: DateTime<Utc>) -> Row {
    let settled = row.state == State::Planned || epoch != row.epoch;
    Row {
        state: State::Sent,
        epoch,
        first_sent_at: if settled {
            Some(now)
        } else {
            row.first_sent_at
        },
        last_sent_at: Some(now),
        // What was sent before and is not settled stays open beside the new request.
        unknown_since: if settled {
            None
        } else {
            row.unknown_since.or(row.last_sent_at)
        },
        must_look: row.must_look && !settled,
        refusal: None,
        ext_ref: row.ext_ref.clone(),
        last_error: row.last_error.clone(),
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done(String),
    /// It never arrived, or the provider did nothing and said so.
    NothingDone,
    /// Cut, timed out, or failed in a way that may be stored under the key.
    Unknown {
        may_be_stored: bool,
    },
    Refused(Refusal),
}

/// The row after the answer to its last request.
pub fn after(row: &Row, answer: &Answer) -> Row {
    let is_settled = row.unknown_since.is_none();
    match answer {
        Answer::Done(ext_ref) => Row {
            state: State::Done,
            ext_ref: Some(ext_ref.clone()),
            ..row.clone()
        },
        Answer::NothingDone if is_settled => Row {
            state: State::Planned,
            first_sent_at: None,
            ..row.clone()
        },
        Answer::NothingDone => row.clone(),
        Answer::Unknown { may_be_stored } => Row {
            unknown_since: row.unknown_since.or(row.last_sent_at),
            must_look: row.must_look || *may_be_stored,
            ..row.clone()
        },
        Answer::Refused(_) if is_settled => refused(row),
        Answer::Refused(refusal) => Row {
            refusal: Some(refusal.clone()),
            ..row.clone()
        },
    }
}

/// The row once a refusal counts: nothing happened. A later try is a new request under a new key,
/// since the old one would only repeat the refusal.
pub fn refused(row: &Row) -> Row {
    Row {
        epoch: row.epoch + 1,
        ext_ref: row.ext_ref.clone(),
        last_sent_at: row.last_sent_at,
        last_error: row.last_error.clone(),
        ..Row::planned()
    }
}

/// Until when a request of this row may still be carried out. Nothing that would be undone by it may
/// be asked for before.
pub fn open_until(row: &Row, quiet: TimeDelta) -> Option<DateTime<Utc>> {
    let is_open = match row.state {
        State::Planned | State::Dead => false,
        State::Sent => true,
        // One of several requests was answered; the others may be on their way.
        State::Done => row.unknown_since.is_some() && row.first_sent_at != row.last_sent_at,
    };
    row.last_sent_at
        .filter(|_| is_open)
        .map(|last_sent_at| last_sent_at + quiet)
}

#[cfg(test)]
mod history;

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");
    const QUIET: TimeDelta = TimeDelta::hours(4);

    fn unknown() -> Row {
        let row = sent(&Row::planned(), 0, AT);
        after(
            &row,
            &Answer::Unknown {
                may_be_stored: false,
            },
        )
    }

    fn check(row: &Row, discipline: Discipline, after: TimeDelta, looked: bool, step: Step) {
        let now = AT + after;
        let absent_at = looked.then_some(now);
        let found = next(row, discipline, QUIET, now, absent_at);
        assert_eq!(
            found, step,
            "{discipline:?} after {after}, looked: {looked}"
        );
    }

    #[test]
    fn a_key_is_used_again_for_twenty_hours_and_then_looked_for() {
        let almost = KEY_IS_GOOD_FOR - TimeDelta::microseconds(1);
        let keyed = Discipline::Keyed;
        check(&unknown(), keyed, almost, false, Step::Send { epoch: 0 });
        check(&unknown(), keyed, KEY_IS_GOOD_FOR, false, Step::LookFirst);
        check(
            &unknown(),
            keyed,
            KEY_IS_GOOD_FOR,
            true,
            Step::Send { epoch: 1 },
        );
    }

    #[test]
    fn an_answer_that_may_be_stored_is_never_asked_for_again() {
        let row = Row {
            must_look: true,
            ..unknown()
        };
        let keyed = Discipline::Keyed;
        check(&row, keyed, TimeDelta::zero(), false, Step::LookFirst);
        check(
            &row,
            keyed,
            TimeDelta::zero(),
            true,
            Step::WaitUntil(AT + QUIET),
        );
        check(&row, keyed, QUIET, true, Step::Send { epoch: 1 });
    }

    #[test]
    fn what_has_no_key_is_looked_for_before_it_is_asked_for() {
        let looked_up = Discipline::LookedUp;
        check(
            &Row::planned(),
            looked_up,
            TimeDelta::zero(),
            false,
            Step::LookFirst,
        );
        check(
            &Row::planned(),
            looked_up,
            TimeDelta::zero(),
            true,
            Step::Send { epoch: 0 },
        );
        check(
            &unknown(),
            looked_up,
            TimeDelta::zero(),
            true,
            Step::WaitUntil(AT + QUIET),
        );
        check(&unknown(), looked_up, QUIET, true, Step::Send { epoch: 1 });
        check(
            &unknown(),
            Discipline::Exact,
            TimeDelta::zero(),
            true,
            Step::Send { epoch: 0 },
        );
    }

    #[test]
    fn a_refusal_counts_once_nothing_is_open() {
        let refusal = Refusal {
            status: 400,
            code: "21422".into(),
            message: "taken".into(),
        };
        let answer = Answer::Refused(refusal.clone());
        let clean = after(&sent(&Row::planned(), 0, AT), &answer);
        assert_eq!((clean.state, clean.epoch), (State::Planned, 1));

        let open = after(&sent(&unknown(), 0, AT), &answer);
        let exact = Discipline::Exact;
        check(&open, exact, TimeDelta::zero(), false, Step::LookFirst);
        check(
            &open,
            exact,
            TimeDelta::zero(),
            true,
            Step::WaitUntil(AT + QUIET),
        );
        check(&open, exact, QUIET, true, Step::Refused(refusal));
    }

    #[test]
    fn one_answered_request_does_not_settle_another() {
        let done = after(&unknown(), &Answer::Done("PN1".into()));
        assert_eq!(open_until(&done, QUIET), None);
        let later = AT + TimeDelta::minutes(1);
        let done = after(&sent(&unknown(), 0, later), &Answer::Done("PN1".into()));
        assert_eq!(open_until(&done, QUIET), Some(later + QUIET));
    }
}
