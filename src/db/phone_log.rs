//! What the lists of calls and of messages have in common.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, postgres::PgRow};

/// A part of a list, the newest first.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// Only what came from or went to it.
    pub number: Option<&'a str>,
    /// Only what stands behind this row, given by its time and its id.
    pub behind: Option<(DateTime<Utc>, &'a str)>,
    pub limit: i64,
}

impl Page<'_> {
    /// Of this table, whose rows of an account have that id.
    pub(super) async fn of<T>(
        &self,
        conn: &mut PgConnection,
        account_id: &str,
        table: &'static str,
        id: &'static str,
        columns: &'static str,
    ) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {columns} from {table}
             where account_id = $1 and ($2::text is null or from_number = $2 or to_number = $2)
               and ($3::timestamptz is null or (began_at, {id}) < ($3, $4))
             order by began_at desc, {id} desc limit $5"
        )))
        .bind(account_id)
        .bind(self.number)
        .bind(self.behind.map(|(began_at, _)| began_at))
        .bind(self.behind.map(|(_, id)| id))
        .bind(self.limit)
        .fetch_all(conn)
        .await
    }
}
