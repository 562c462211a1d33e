//! Waiting a while for what workers are doing.

use std::time::Duration;

use tokio::time::sleep;

use super::Shared;
use crate::{clock::Clock, http::problem::Problem};

/// The first looks come quickly, since most orders are done in a second or two; the later ones
/// spare the database, which the receiver needs more.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Shared {
    /// Look again and again until what is seen is settled or the patience of a client is used up; the
    /// last look is returned. No connection is held between two looks.
    pub async fn look_until<T, L>(
        &self,
        look: impl Fn() -> L + Send,
        is_settled: impl Fn(&T) -> bool + Send,
    ) -> Result<T, Problem>
    where
        T: Send,
        L: Future<Output = Result<T, Problem>> + Send,
    {
        let place = self.waiting.try_acquire();
        let started = Clock::instant();
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = look().await?;
            let is_over = place.is_err() || started.elapsed() >= self.provision_wait;
            if is_over || is_settled(&seen) {
                return Ok(seen);
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }
}
