//! A connection that is kept while one statement follows the other.

use sqlx::{PgPool, Postgres, pool::PoolConnection};

/// Given back and taken again, a connection costs a round trip each time, and the next statement goes to
/// another session of the server, which has none of the pages at hand.
pub(super) struct Kept {
    pool: PgPool,
    connection: Option<PoolConnection<Postgres>>,
}

impl Kept {
    pub fn new(pool: PgPool) -> Kept {
        Kept {
            pool,
            connection: None,
        }
    }

    /// The kept connection, or one of the pool. Whoever takes it [`keep`](Kept::keep)s it when all went well:
    /// else it goes back to the pool, which finds out whether it is still good.
    pub async fn take(&mut self) -> sqlx::Result<PoolConnection<Postgres>> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.pool.acquire().await,
        }
    }

    pub fn keep(&mut self, connection: PoolConnection<Postgres>) {
        self.connection = Some(connection);
    }

    /// Nothing more to do for now.
    pub fn give_back(&mut self) {
        self.connection = None;
    }
}
