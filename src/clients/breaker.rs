//! Stops asking a provider that does not answer: an outage then costs jobs time and no attempts, and
//! a provider that comes back is not met by everybody at once.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// So many exchanges in a row without a usable answer are an outage, and no longer bad luck.
const SILENCES_MAX: u32 = 20;
/// How long nothing is asked then. Afterwards one request finds out for all.
const OPEN_FOR: Duration = Duration::from_secs(5);

/// One for each provider and process; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    silences: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may leave now. When the time is over the first one may, and the others
    /// wait for what it finds out.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match state.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + OPEN_FOR);
                true
            }
            None => true,
        }
    }

    /// Whether the provider was there when it was asked last, or was not asked often enough to know.
    pub fn is_closed(&self, now: Instant) -> bool {
        self.lock().open_until.is_none_or(|until| now >= until)
    }

    /// The provider answered: whatever it said, it is there.
    pub fn answered(&self) {
        *self.lock() = State::default();
    }

    /// No connection, no answer, or one that only says that something is broken (5xx).
    pub fn silent(&self, now: Instant) {
        let mut state = self.lock();
        state.silences = state.silences.saturating_add(1);
        if state.silences >= SILENCES_MAX {
            state.open_until = Some(now + OPEN_FOR);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("the lock is never held across a panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A breaker that has just opened, and when.
    fn opened() -> (Breaker, Instant) {
        let (breaker, now) = (Breaker::default(), crate::clock::Clock::instant());
        for _ in 0..SILENCES_MAX {
            assert!(breaker.admits(now));
            breaker.silent(now);
        }
        (breaker, now)
    }

    #[test]
    fn after_so_many_silences_nothing_is_asked_for_a_while() {
        let (breaker, now) = opened();
        assert!(!breaker.admits(now));
        assert!(!breaker.admits(now + OPEN_FOR - Duration::from_millis(1)));
        assert!(!breaker.is_closed(now));
    }

    #[test]
    fn one_request_finds_out_for_all() {
        let (breaker, now) = opened();
        let later = now + OPEN_FOR;
        assert!(breaker.admits(later));
        assert!(!breaker.admits(later), "the others wait for it");
        breaker.silent(later);
        assert!(!breaker.admits(later + OPEN_FOR / 2));

        assert!(breaker.admits(later + OPEN_FOR));
        breaker.answered();
        assert!(breaker.is_closed(later));
        assert!(breaker.admits(later + OPEN_FOR));
        assert!(breaker.admits(later + OPEN_FOR));
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let (breaker, now) = (Breaker::default(), crate::clock::Clock::instant());
        for _ in 0..10 {
            for _ in 1..SILENCES_MAX {
                breaker.silent(now);
            }
            breaker.answered();
        }
        assert!(breaker.admits(now));
    }
}
