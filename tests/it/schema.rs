//! What the schema itself promises.

use crate::support::cluster;

#[tokio::test]
async fn every_table_with_an_account_has_forced_row_security() {
    let db = cluster::fresh_database().await;

    let open: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'account_id' and not a.attisdropped
         join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname in ('public', 'queue')
           and not (c.relrowsecurity and c.relforcerowsecurity)",
    )
    .fetch_all(&db)
    .await
    .unwrap();

    assert_eq!(open, Vec::<String>::new());
}
