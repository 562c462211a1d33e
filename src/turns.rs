//! A provider's turns, given out by Postgres to every process that asks: together they ask no more often than was agreed.

use std::{sync::OnceLock, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{PgConnection, PgPool};

use crate::{
    clients::pace::{Crowded, Turns},
    db::provider_turns,
    grouped::{Grouped, Together},
};

/// A turn that is further off is not waited for: a run that waits keeps others of its lane from theirs.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long Postgres may take to give one out.
const DEADLINE: Duration = Duration::from_secs(5);
/// Without Postgres there are no turns.
const NOT_KNOWN: Crowded = Crowded {
    after: Duration::from_secs(1),
};

/// One provider's turns, so many a second.
pub struct SharedTurns {
    giving: Giving,
    pool: PgPool,
    /// Begun by the first who asks, who runs where a task can be begun.
    desk: OnceLock<Grouped<Giving>>,
}

impl SharedTurns {
    /// None: as many as anybody likes.
    pub fn new(provider: &'static str, per_second: u32, pool: PgPool) -> Option<SharedTurns> {
        let every = Duration::from_secs(1).checked_div(per_second)?;
        Some(SharedTurns {
            giving: Giving { provider, every },
            pool,
            desk: OnceLock::new(),
        })
    }
}

impl Turns for SharedTurns {
    fn take(&self) -> BoxFuture<'_, Result<Duration, Crowded>> {
        let begin = || Grouped::start(self.giving, self.pool.clone(), DEADLINE);
        let desk = self.desk.get_or_init(begin);
        async { desk.ask(()).await.unwrap_or(Err(NOT_KNOWN)) }.boxed()
    }
}

#[derive(Debug, Clone, Copy)]
struct Giving {
    provider: &'static str,
    every: Duration,
}

impl Together for Giving {
    type Asked = ();
    type Answer = Result<Duration, Crowded>;

    const NAME: &'static str = "turns at a provider";
    const AT_ONCE: usize = 2;

    fn weight((): &()) -> usize {
        1
    }

    async fn answer(
        &self,
        conn: &mut PgConnection,
        group: &[&()],
    ) -> sqlx::Result<Vec<Self::Answer>> {
        let Giving { provider, every } = *self;
        let first = provider_turns::take(conn, provider, every, group.len(), WAIT_MAX).await?;
        let turns = (0..).zip(group).map(|(place, ())| match first {
            Ok(wait) => Ok(wait + every * place),
            Err(after) => Err(Crowded { after }),
        });
        Ok(turns.collect())
    }
}
