//! Every table of a test's database, whatever tables there are.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgPool};

/// Every table with rows of its own, as `schema.name`; the list of migrations left out.
async fn names(db: &PgPool) -> Vec<String> {
    let names: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', nspname, relname)
         from pg_class join pg_namespace on pg_namespace.oid = relnamespace
         where relkind = 'r' and nspname in ('public', 'queue') and relname <> '_sqlx_migrations'
         order by 1",
    )
    .fetch_all(db)
    .await
    .unwrap();
    assert!(names.len() >= 15, "only {names:?}");
    names
}

/// Every row of every table as JSON, with its table. Bytes are hexadecimal there, behind `\x`.
pub async fn rows(db: &PgPool) -> Vec<(String, serde_json::Value)> {
    let tables: Vec<String> = names(db)
        .await
        .iter()
        .map(|table| format!("select '{table}', to_jsonb(t) from {table} t"))
        .collect();
    sqlx::query_as(AssertSqlSafe(tables.join(" union all ")))
        .fetch_all(db)
        .await
        .unwrap()
}

/// What each table holds, as a count and a digest: the same as long as nothing was written. When a key
/// was last used is left out.
pub struct Contents(String);

impl Contents {
    /// Of the tables there are now.
    pub async fn of(db: &PgPool) -> Contents {
        let tables: Vec<String> = names(db)
            .await
            .iter()
            .map(|table| {
                format!(
                    "select '{table}', count(*) || ' rows, ' || coalesce(md5(string_agg(row, '' order by row)), '')
                     from (select md5((to_jsonb(t) - 'last_used_at')::text) as row from {table} t) rows"
                )
            })
            .collect();
        Contents(tables.join(" union all "))
    }

    pub async fn now(&self, db: &PgPool) -> BTreeMap<String, String> {
        let rows: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(self.0.clone()))
            .fetch_all(db)
            .await
            .unwrap();
        rows.into_iter().collect()
    }
}
