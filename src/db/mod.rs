//! The only SQL beside `queue/`: one file per table group, one function per statement.
//!
//! The connection comes first, so the caller owns the transaction. Writes carry their own guard and
//! say whether they won.

pub mod accounts;
pub mod api_keys;
pub mod billing;
pub mod calls;
pub mod conversations;
pub mod databases;
pub mod findings;
mod kept;
pub mod messages;
pub mod notification_endpoints;
pub mod notifications;
pub mod number_orders;
pub mod outbound;
pub mod outbound_spend;
pub mod overview;
pub mod partitions;
pub mod phone_log;
pub mod phone_numbers;
pub mod phone_settings;
pub mod phone_usage;
pub mod provider_calls;
pub mod provider_turns;
pub mod readiness;
pub mod recordings;
pub mod retention;
pub mod sealed_columns;
pub mod speech_answers;
pub mod subaccounts;
pub mod subscriptions;
pub mod telephony;
pub mod telephony_orders;
pub mod usage;
pub mod voipms_numbers;
pub mod webhooks;

pub use kept::Kept;

use std::time::Duration;

use sqlx::{
    Connection, Executor, PgConnection, PgPool, Postgres, Row, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A connection that came back so lately is lent without a question.
const IDLE_UNASKED: Duration = Duration::from_millis(100);

/// A pool that connects when it is first used. Transactions on it begin with [`begin`] or [`begin_with`].
pub fn pool(options: PgConnectOptions, connections_max: u32, acquire_timeout: Duration) -> PgPool {
    settings(connections_max, acquire_timeout).connect_lazy_with(options)
}

/// The same, and every connection is looked at when it comes back: for what begins transactions on a
/// connection of its own and may be stopped at any point.
pub fn checked_pool(
    options: PgConnectOptions,
    connections_max: u32,
    acquire_timeout: Duration,
) -> PgPool {
    settings(connections_max, acquire_timeout)
        .after_release(|conn, _| Box::pin(is_outside_transaction(conn)))
        .connect_lazy_with(options)
}

/// A pool for the receiver's own statements, which look rows up by index and nothing else.
///
/// A table is empty at one moment and holds a hundred thousand rows at the next, and the plan of a prepared
/// statement outlives both: one made while it was empty would read all of it for every row.
pub fn ingest_pool(
    options: PgConnectOptions,
    connections_max: u32,
    acquire_timeout: Duration,
) -> PgPool {
    by_index(settings(connections_max, acquire_timeout)).connect_lazy_with(options)
}

/// The same for the queue. What fails on a connection that broke since it came back is tried again anyway.
pub fn queue_pool(
    options: PgConnectOptions,
    connections_max: u32,
    acquire_timeout: Duration,
) -> PgPool {
    by_index(settings(connections_max, acquire_timeout))
        .before_acquire(|_, _| Box::pin(std::future::ready(Ok(true))))
        .connect_lazy_with(options)
}

fn by_index(settings: PgPoolOptions) -> PgPoolOptions {
    settings.after_connect(|conn, _| {
        Box::pin(async move {
            // Planned once: the least of these statements costs more to plan than to run.
            conn.execute(
                "set enable_seqscan = off; set jit = off; set plan_cache_mode = force_generic_plan",
            )
            .await?;
            Ok(())
        })
    })
}

fn settings(connections_max: u32, acquire_timeout: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|conn, lent| Box::pin(still_answers(conn, lent.idle_for)))
}

/// Whether a connection is alive, as far as that is worth a round trip: sqlx has asked it when it came back,
/// so one that comes and goes all the time need not be asked twice.
async fn still_answers(conn: &mut PgConnection, idle_for: Duration) -> sqlx::Result<bool> {
    if idle_for > IDLE_UNASKED {
        conn.ping().await?;
    }
    Ok(true)
}

/// Whether a connection may be lent again. A `begin` that is dropped before its answer came (a
/// deadline, a lost lease) leaves a transaction open that sqlx 0.9.0 knows nothing of: what the next
/// borrower writes would look done and never be committed. An error closes the connection too.
async fn is_outside_transaction(conn: &mut PgConnection) -> sqlx::Result<bool> {
    // Outside a transaction a simple query is its own, so both clocks show the same instant.
    let row = conn
        .fetch_one(sqlx::raw_sql("select now() = statement_timestamp()"))
        .await?;
    row.try_get(0)
}

/// Begin a transaction. The server ends its session when the process stops or is cut off in the middle:
/// what it has locked would else stay locked until the network gives up, in hours.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_with(
        pool,
        "begin; set local idle_in_transaction_session_timeout = '10s'",
    )
    .await
}

/// Begin a transaction with a statement of its own, to the end of it even if its caller is dropped
/// meanwhile: a `begin` that is dropped half-way leaves a transaction open that sqlx 0.9.0 knows nothing of.
pub async fn begin_with(
    pool: &PgPool,
    statement: &'static str,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    begun
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed))
}

/// Have each statement of this transaction planned by what the tables hold now, until [`plan_as_kept`]. A connection
/// keeps its plans: one made when a table was empty reads all of it for every batch of a run that fills it.
pub async fn plan_anew(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("set local plan_cache_mode = force_custom_plan")
        .execute(conn)
        .await?;
    Ok(())
}

/// Use the plans that are kept again: for what stores a batch, and before its commit. Foreign keys are checked row by
/// row, by plans of their own, and planned anew for each row they cost a fifth of a month's end.
pub async fn plan_as_kept(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("set local plan_cache_mode = auto")
        .execute(conn)
        .await?;
    Ok(())
}

/// Begin a transaction that sees the rows of one account and nothing else, whatever it asks for.
pub async fn as_account(
    pool: &PgPool,
    account_id: &str,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = begin_with(
        pool,
        "begin; set local idle_in_transaction_session_timeout = '10s'; set local role tollkeeper_app",
    )
    .await?;
    sqlx::query("select set_config('app.account_id', $1, true)")
        .bind(account_id)
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// The migrations of `migrations/`, forward only.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Bring the database up to date. Safe to run from several processes at once, on a connection of its
/// own: it holds a lock of the session, which a transaction pooler would hand to somebody else.
///
/// A step that waits for a lock keeps every query behind it waiting too, so it gives way after 2 s
/// with an error (SQLSTATE 55P03); the caller comes back.
pub async fn migrate(conn: &mut PgConnection) -> Result<(), sqlx::migrate::MigrateError> {
    conn.execute("set lock_timeout = '2s'").await?;
    MIGRATIONS.run(conn).await
}
