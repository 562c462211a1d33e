//! Whether this process has been in touch with Postgres for long enough to judge others by their leases.
//!
//! While Postgres is away, cut off, hanging or being replaced by its standby, nobody can renew: then
//! every lease runs out, and none of them tells of a crash. Whoever is back first must wait for the
//! others. Each process goes by what it saw itself; one that was cut off alone keeps nobody waiting.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// However short a lease is: connections are made anew, and a server that recovers is slow.
const GRACE_MIN: Duration = Duration::from_secs(5);
/// A busy machine is no outage.
const LATE_MIN: Duration = Duration::from_secs(2);

/// How long living workers get to renew before what ran out is taken back.
pub(super) fn grace(lease: Duration) -> Duration {
    (lease / 2).max(GRACE_MIN)
}

/// Whether an answer that took so long came after leases had run out, renewed in time as they were.
pub(super) fn is_too_late(took: Duration, lease: Duration) -> bool {
    took >= (lease * 2 / 3).max(LATE_MIN)
}

/// Clones share what one process knows.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// A process that starts waits for nobody: what ran out before it came is not its own doing.
    #[default]
    Steady,
    Lost,
    BackSince(Instant),
}

impl Contact {
    /// Postgres did not answer, or so late that leases ran out meanwhile.
    pub(super) fn lost(&self) {
        *self.lock() = State::Lost;
    }

    /// Postgres answered.
    pub(super) fn answered(&self, now: Instant) {
        let mut state = self.lock();
        if matches!(*state, State::Lost) {
            *state = State::BackSince(now);
        }
    }

    /// Whether a lease that ran out means that its holder is gone.
    pub(super) fn is_steady(&self, lease: Duration, now: Instant) -> bool {
        match *self.lock() {
            State::Steady => true,
            State::Lost => false,
            State::BackSince(back_at) => now.duration_since(back_at) >= grace(lease),
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
    use crate::clock::Clock;

    #[test]
    fn after_a_loss_everybody_gets_half_a_lease_to_come_back() {
        let (contact, lease, start) = (
            Contact::default(),
            Duration::from_secs(30),
            Clock::instant(),
        );
        let at = |seconds| start + Duration::from_secs(seconds);
        contact.answered(at(0));
        assert!(
            contact.is_steady(lease, at(0)),
            "a new process waits for nobody"
        );

        contact.lost();
        assert!(!contact.is_steady(lease, at(100)), "away");
        contact.answered(at(100));
        contact.answered(at(110));
        assert!(!contact.is_steady(lease, at(114)), "just back");
        assert!(contact.is_steady(lease, at(115)));

        contact.lost();
        assert!(!contact.is_steady(lease, at(116)), "away again");
    }

    #[test]
    fn a_short_lease_does_not_make_a_server_faster() {
        assert_eq!(grace(Duration::from_secs(1)), GRACE_MIN);
        assert_eq!(grace(Duration::from_secs(60)), Duration::from_secs(30));
        assert!(!is_too_late(Duration::from_secs(1), Duration::from_secs(1)));
        assert!(is_too_late(
            Duration::from_secs(20),
            Duration::from_secs(30)
        ));
    }
}
