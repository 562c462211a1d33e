//! Waiting a while for what workers are doing.

use std::time::{Duration, Instant};

use tokio::{sync::SemaphorePermit, time::sleep};

use super::Shared;
use crate::clock::Clock;

/// The first looks come quickly, since most orders are done in a second or two; the later ones
/// spare the database, which the receiver needs more.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Shared {
    /// Of a client that waits for its order to be carried out. No connection is held between two looks.
    pub fn patience(&self) -> Patience<'_> {
        Patience {
            place: self.waiting.try_acquire().ok(),
            started: Clock::instant(),
            lasts_for: self.provision_wait,
            pause: FIRST_PAUSE,
        }
    }
}

/// How long a client still waits, and how often it is looked meanwhile.
pub struct Patience<'a> {
    /// None: so many wait that this one is told to come back.
    place: Option<SemaphorePermit<'a>>,
    started: Instant,
    lasts_for: Duration,
    pause: Duration,
}

impl Patience<'_> {
    /// Wait until it is time for another look. False: there is none.
    pub async fn lasts(&mut self) -> bool {
        if self.place.is_none() || self.started.elapsed() >= self.lasts_for {
            return false;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        true
    }
}
