//! The databases of a server that is ours alone.

use sqlx::PgConnection;

pub async fn exists(conn: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(conn)
        .await
}

/// Drop it and whatever is connected to it, and create it anew. `name` is one of our own constants.
pub async fn renew(conn: &mut PgConnection, name: &'static str) -> sqlx::Result<()> {
    let statement = format!("drop database if exists {name} with (force)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut *conn)
        .await?;
    create(conn, name).await
}

/// `name` is one of our own constants: it is part of the statement.
pub async fn create(conn: &mut PgConnection, name: &'static str) -> sqlx::Result<()> {
    let statement = format!("create database {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(conn)
        .await?;
    Ok(())
}
