//! The only SQL beside `queue/`: one file per table group, one function per statement.
//!
//! The connection comes first, so the caller owns the transaction. Writes carry their own guard and
//! say whether they won.

pub mod accounts;
pub mod api_keys;
pub mod databases;
pub mod findings;
pub mod overview;
pub mod phone_numbers;
pub mod provider_calls;
pub mod readiness;
pub mod retention;
pub mod sealed_columns;
pub mod subaccounts;
pub mod subscriptions;
pub mod telephony;
pub mod telephony_orders;
pub mod webhooks;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// Begin a transaction that sees the rows of one account and nothing else, whatever it asks for.
pub async fn as_account(
    pool: &PgPool,
    account_id: &str,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = pool
        .begin_with("begin; set local role tollkeeper_app")
        .await?;
    sqlx::query("select set_config('app.account_id', $1, true)")
        .bind(account_id)
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// The migrations of `migrations/`, forward only.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Bring the database up to date. Safe to run from several processes at once.
pub async fn migrate(conn: &mut PgConnection) -> Result<(), sqlx::migrate::MigrateError> {
    MIGRATIONS.run(conn).await
}
