//! The app that is told what happened: its secrets are canaries too.

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::PgPool;
use tollkeeper::{
    notify::{
        self,
        operate::{self, Wish},
    },
    queue::operate::By,
    sealed::Keyring,
};
use tollkeeper_jobs::NewNotification;

use super::nest::Nest;
use crate::support::{
    subscriber::{Subscriber, answers},
    until,
};

/// An app that is told and does not take it, with a secret in its URL beside the one it signs by.
pub async fn register(db: &PgPool, nest: &mut Nest) -> Arc<Subscriber> {
    let app = Subscriber::start().await;
    app.behave(answers(500));
    let token = nest.plant("a token in an endpoint's URL", "c4n4ry-in-a-query-0001");
    let wish = Wish {
        url: &format!("{}?token={token}", app.url),
        types: None,
        allow_private: true,
    };
    let by = By {
        who: "a proof",
        why: "the app listens",
    };
    let keyring = Keyring::new(&[nest.of("the sealing key").into()]).unwrap();
    let mut conn = db.acquire().await.unwrap();
    let issued = operate::add(&mut conn, &keyring, wish, chrono::Utc::now(), by)
        .await
        .unwrap();
    nest.plant("an endpoint's secret", issued.secret.expose_secret());
    app
}

/// Something the app is told, and told again.
pub async fn announce(db: &PgPool, app: &Subscriber, number: usize) {
    let mut tx = db.begin().await.unwrap();
    let news = NewNotification {
        account_id: format!("user-{number}"),
        kind: "usage.threshold".into(),
        occasion: "the limit".into(),
        data: json!({ "percent": 100 }),
    };
    notify::announce(&mut tx, &[news]).await.unwrap();
    tx.commit().await.unwrap();
    let before = app.told().len();
    until("the app was told twice", async || {
        app.told().len() >= before + 2
    })
    .await;
}
