//! Whether the database answers and has every migration this program was built with.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::MIGRATIONS;

/// The versions this program knows and the database does not have. A database that is ahead is
/// fine: migrations only expand while an older program still runs.
pub async fn missing_migrations(conn: &mut PgConnection) -> sqlx::Result<Vec<i64>> {
    let applied: BTreeSet<i64> =
        sqlx::query_scalar("select version from _sqlx_migrations where success")
            .fetch_all(conn)
            .await?
            .into_iter()
            .collect();
    Ok(MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .filter(|version| !applied.contains(version))
        .collect())
}
