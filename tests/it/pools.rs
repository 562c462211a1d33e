//! What a pool lends is as good as new.

use std::time::Duration;

use tollkeeper::db;

use crate::support::cluster;

#[tokio::test]
async fn a_begin_that_nobody_waited_for_harms_no_later_borrower() {
    let options = cluster::fresh_database_options().await;
    let pool = db::pool(options.clone(), 1, Duration::from_secs(30));
    let pauses = [0, 50, 100, 200, 400, 800, 1600];
    for pause in pauses {
        // Dropped with its question sent and no answer read, as a deadline does it.
        let begin = pool.begin_with("begin; set local role tollkeeper_app; select pg_sleep(0.001)");
        let _ = tokio::time::timeout(Duration::from_micros(pause), begin).await;

        let is_itself: bool = sqlx::query_scalar("select current_user = session_user")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert!(is_itself, "after {pause} us the next borrower is the app");
        // Outside a transaction this is committed by itself; inside one that nobody knows of, never.
        sqlx::query("insert into accounts (account_id) values ($1)")
            .bind(pause.to_string())
            .execute(&pool)
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
