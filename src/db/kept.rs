//! A connection that is kept while one statement follows the other.

use std::time::{Duration, Instant};

use sqlx::{PgPool, Postgres, pool::PoolConnection};

use crate::clock::Clock;

/// Then it goes back once, so that whoever waits for a connection of the pool, the renewals above all, has its
/// turn however long the others stay busy.
const KEPT_FOR: Duration = Duration::from_millis(100);

/// Given back and taken again, a connection costs a round trip each time, and the next statement goes to
/// another session of the server, which has none of the pages at hand.
pub struct Kept {
    pool: PgPool,
    connection: Option<PoolConnection<Postgres>>,
    since: Instant,
}

impl Kept {
    pub fn new(pool: PgPool) -> Kept {
        Kept {
            pool,
            connection: None,
            since: Clock::instant(),
        }
    }

    /// The kept connection, or one of the pool. Whoever takes it [`keep`](Kept::keep)s it when all went well:
    /// else it goes back to the pool, or is closed by whom it failed.
    pub async fn take(&mut self) -> sqlx::Result<PoolConnection<Postgres>> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connection = self.pool.acquire().await?;
        self.since = Clock::instant();
        Ok(connection)
    }

    pub fn keep(&mut self, connection: PoolConnection<Postgres>) {
        self.connection = (self.since.elapsed() < KEPT_FOR).then_some(connection);
    }

    /// Nothing more to do for now.
    pub fn give_back(&mut self) {
        self.connection = None;
    }
}
