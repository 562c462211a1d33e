//! What a pool lends is as good as new.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgConnectOptions};
use tollkeeper::db;

use crate::support::cluster;

const BEGIN: &str = "begin; set local role tollkeeper_app; select pg_sleep(0.001)";

#[tokio::test]
async fn a_begin_that_nobody_waited_for_harms_no_later_borrower() {
    let options = cluster::fresh_database_options().await;
    let pool = db::checked_pool(options.clone(), 1, Duration::from_secs(30));
    let begin = async || pool.begin_with(BEGIN).await.map(drop);
    harms_nobody(options, &pool, begin).await;
}

#[tokio::test]
async fn a_begin_of_ours_ends_though_nobody_waits_for_it() {
    let options = cluster::fresh_database_options().await;
    let pool = db::pool(options.clone(), 1, Duration::from_secs(30));
    let begin = async || db::begin_with(&pool, BEGIN).await.map(drop);
    harms_nobody(options, &pool, begin).await;
}

async fn harms_nobody(
    options: PgConnectOptions,
    pool: &PgPool,
    begin: impl AsyncFn() -> sqlx::Result<()>,
) {
    let pauses = [0, 50, 100, 200, 400, 800, 1600];
    for pause in pauses {
        // Dropped with its question sent and no answer read, as a deadline does it.
        let _ = tokio::time::timeout(Duration::from_micros(pause), begin()).await;

        let is_itself: bool = sqlx::query_scalar("select current_user = session_user")
            .fetch_one(pool)
            .await
            .unwrap();
        assert!(is_itself, "after {pause} us the next borrower is the app");
        // Outside a transaction this is committed by itself; inside one that nobody knows of, never.
        sqlx::query("insert into accounts (account_id) values ($1)")
            .bind(pause.to_string())
            .execute(pool)
            .await
            .unwrap();
    }

    let elsewhere = db::pool(options, 1, Duration::from_secs(30));
    let stored: i64 = sqlx::query_scalar("select count(*) from accounts")
        .fetch_one(&elsewhere)
        .await
        .unwrap();
    assert_eq!(stored, pauses.len() as i64);
}
