//! No address and no text of a mail stands where it does not belong.

use chrono::Utc;
use sqlx::PgPool;
use tollkeeper::{
    notify,
    sandbox::{Sandbox, Settings},
};
use tollkeeper_jobs::billing_notices::receipt;

use crate::support::{
    cluster,
    mail_server::{Does, MailServer, Step},
    process::Program,
    tables, until,
};

/// What stands in the address, in the text and in the settings.
const CANARIES: [&str; 4] = [
    "c4n4ry-ann",
    "c4n4ry-text",
    "c4n4ry-user",
    "c4n4ry-password",
];
/// The fact, not a copy: what the account is reached by, and what apps are told.
const ALLOWED: [(&str, &str); 2] = [
    ("public.accounts", "email"),
    ("public.notifications", "data"),
];

#[tokio::test]
async fn no_address_and_no_text_is_in_a_log_or_a_job() {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let database = cluster::fresh_database_options().await;
    let db = PgPool::connect_with(database.clone()).await.unwrap();
    sqlx::query(
        "insert into accounts (account_id, email) values ('ann', 'c4n4ry-ann@customers.test')",
    )
    .execute(&db)
    .await
    .unwrap();
    let server = MailServer::start().await;
    let worker = Program::over(&database, &sandbox)
        .with("SMTP_URL", &server.url_of("c4n4ry-user:c4n4ry-password@"))
        .with("EMAIL_FROM", "billing@example.org")
        .with("RUST_LOG", "trace")
        .ready("worker")
        .await;

    // Each way a mail can end: later, refused, taken. The server quotes the address where it can.
    for (attempt, says) in [
        Some("451 4.7.1 <c4n4ry-ann@customers.test> later"),
        Some("550 5.1.1 <c4n4ry-ann@customers.test> no such user"),
        None,
    ]
    .into_iter()
    .enumerate()
    {
        server.recover();
        if let Some(says) = says {
            server.at(Step::Recipient, Does::Says(says));
        }
        let invoice = format!("in_{attempt}");
        let text = Some("c4n4ry-text");
        let told = receipt("ann", &invoice, text, 1, "usd", Utc::now(), text);
        let mut tx = db.begin().await.unwrap();
        notify::announce(&mut tx, &[told]).await.unwrap();
        tx.commit().await.unwrap();
        let before = server.count(Step::Recipient);
        let wanted = if attempt == 0 { 2 } else { 1 };
        until("the server was asked", async || {
            server.count(Step::Recipient) >= before + wanted
        })
        .await;
    }
    until("one is refused and one is taken", async || {
        let both = "select exists (select from notifications where mailed_at is not null)
                       and exists (select from findings)";
        sqlx::query_scalar(both).fetch_one(&db).await.unwrap()
    })
    .await;

    let (_, figures) = worker.get("/metrics").await.unwrap();
    let log = worker.log();
    assert!(log.contains("notify_customer"), "{log}");
    for canary in CANARIES {
        let found = log.lines().chain(figures.lines());
        let found: Vec<&str> = found.filter(|line| line.contains(canary)).collect();
        assert_eq!(found, Vec::<&str>::new(), "{canary}");
    }
    let rows = tables::rows(&db).await;
    for (table, row) in rows {
        for (column, value) in row.as_object().unwrap() {
            if !ALLOWED.contains(&(table.as_str(), column.as_str())) {
                let text = value.to_string();
                let found = CANARIES.iter().find(|canary| text.contains(**canary));
                assert_eq!(found, None, "{table}.{column}: {text}");
            }
        }
    }
    assert!(worker.is_alive());
}
