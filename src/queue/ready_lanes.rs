//! Which lanes have anything ready: looked at once for all lanes of a process, or told by whoever stored it.
//!
//! Most of what wakes a process is for one lane of several. If each looked for itself, or claimed, they would
//! cost that one its turn on the processor just when its job is to start.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::{Notify, futures::Notified};
use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::Lane;

use super::wake::{CHANNEL, Wake};

const POLL_MIN: Duration = Duration::from_millis(20);
const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// A select from the lanes (`$1`) that have something ready, be it paused, capped or of unknown kinds. It costs a
/// tenth of a claim that finds nothing.
macro_rules! of_ready_lanes {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " from unnest($1::text[]) name
             where exists (select from queue.jobs where state = 'ready' and crashes = 0 and lane = name)
                or exists (select from queue.jobs where state = 'ready' and crashes > 0 and lane = name) ",
            $rest
        )
    };
}
pub(super) use of_ready_lanes;

/// Clones share what one process knows.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadyLanes {
    bells: [Arc<Notify>; Lane::ALL.len()],
    took: Arc<Notify>,
}

impl ReadyLanes {
    /// Hears that something became ready in the lane, from the moment of this call on, not of the first poll. It
    /// may be nothing that can be taken, or somebody else's by now.
    pub fn heard(&self, lane: Lane) -> Notified<'_> {
        self.bells[lane as usize].notified()
    }

    /// A claim took jobs: where some came others may come, and they are looked for often again.
    pub fn took(&self) {
        self.took.notify_one();
    }

    fn ring(&self, lanes: impl IntoIterator<Item = Lane>) {
        for lane in lanes {
            self.bells[lane as usize].notify_waiters();
        }
    }

    /// Look at every ring of this process, and ever more seldom without one, at least once in `poll_max`.
    pub async fn keep_looking(
        self,
        pool: PgPool,
        wake: Wake,
        poll_max: Duration,
        stop: CancellationToken,
    ) {
        let mut pause = POLL_MIN;
        loop {
            let heard = wake.heard();
            // What cannot be asked for is found out about by the claims.
            self.ring(look(&pool).await.unwrap_or(Lane::ALL.to_vec()));
            let pausing = async {
                loop {
                    tokio::select! {
                        _ = self.took.notified() => pause = POLL_MIN,
                        _ = tokio::time::sleep(pause) => return (pause * 2).min(poll_max),
                    }
                }
            };
            pause = tokio::select! {
                _ = heard => POLL_MIN,
                longer = pausing => longer,
                _ = stop.cancelled() => return,
            };
        }
    }

    /// Hear what other processes tell. Behind a transaction pooler nothing is heard: workers poll.
    pub async fn keep_listening(self, pool: PgPool, stop: CancellationToken) {
        let _ = stop
            .run_until_cancelled(async {
                loop {
                    if let Err(error) = self.listen(&pool).await {
                        tracing::debug!(%error, "cannot listen for jobs; polling");
                    }
                    tokio::time::sleep(RECONNECT_AFTER).await;
                }
            })
            .await;
    }

    async fn listen(&self, pool: &PgPool) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            let told = listener.recv().await?;
            self.ring(lanes(told.payload().split(' ')));
        }
    }
}

async fn look(pool: &PgPool) -> sqlx::Result<Vec<Lane>> {
    let names: Vec<String> = sqlx::query_scalar(of_ready_lanes!("select name", ""))
        .bind(Lane::ALL.map(Lane::as_str))
        .fetch_all(pool)
        .await?;
    Ok(lanes(names.iter().map(String::as_str)))
}

fn lanes<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Lane> {
    let by_name = |name| Lane::ALL.into_iter().find(|lane| lane.as_str() == name);
    names.filter_map(by_name).collect()
}
