//! The customer who is told by e-mail: what stands in the mail is a canary, as the address is.

use chrono::Utc;
use sqlx::PgPool;
use tollkeeper::notify;
use tollkeeper_jobs::billing_notices::receipt;

use super::nest::Nest;
use crate::support::{
    mail_server::{MailServer, Step},
    until,
};

/// A receipt, until the mail server was told whom it is for.
pub async fn tell(db: &PgPool, mail: &MailServer, nest: &mut Nest, number: usize) {
    let text = nest.plant(
        &format!("a text in a mail {number}"),
        &format!("c4n4ry-invoice-{number}"),
    );
    let url = nest.plant(
        &format!("an address in a mail {number}"),
        &format!("https://c4n4ry.test/pay/{number}"),
    );
    let account = format!("user-{number}");
    let told = receipt(
        &account,
        "in_1",
        Some(&text),
        9700,
        "usd",
        Utc::now(),
        Some(&url),
    );
    let before = mail.count(Step::Recipient);
    let mut tx = db.begin().await.unwrap();
    notify::announce(&mut tx, &[told]).await.unwrap();
    tx.commit().await.unwrap();
    until("the mail server was asked", async || {
        mail.count(Step::Recipient) > before
    })
    .await;
}
