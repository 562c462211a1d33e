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

/// A table of calls or of messages, whose rows are shown beside what the views of the old names make of them.
pub(super) struct Table {
    pub name: &'static str,
    /// What tells the rows of one account apart.
    pub id: &'static str,
    pub columns: &'static str,
    /// What is shown of its row, which is called `one`, and of what stands beside it.
    pub shown: &'static str,
    /// What is joined to `one`. It reads views, so it needs a transaction of [`super::as_account`].
    pub beside: &'static str,
}

impl Page<'_> {
    /// Of this table's rows of an account.
    pub(super) async fn of<T>(
        &self,
        conn: &mut PgConnection,
        account_id: &str,
        table: &Table,
    ) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let Table {
            name,
            id,
            columns,
            shown,
            beside,
        } = table;
        // The page is cut out first: what stands beside its rows is looked up for these alone.
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {shown}
             from (select {columns} from {name}
                   where account_id = $1 and ($2::text is null or from_number = $2 or to_number = $2)
                     and ($3::timestamptz is null or (began_at, {id}) < ($3, $4))
                   order by began_at desc, {id} desc limit $5) as one {beside}
             order by one.began_at desc, one.{id} desc"
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
