//! The apps of the story: one that listens, and one that is gone.

use std::{collections::BTreeSet, sync::Arc};

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

use crate::support::subscriber::{Subscriber, answers};

pub struct Apps {
    well: Arc<Subscriber>,
    gone: Arc<Subscriber>,
}

impl Apps {
    /// Registered in this database, their secrets sealed with this key.
    pub async fn register(db: &PgPool, key: &str, by: By<'_>) -> Apps {
        let keyring = Keyring::new(&[key.into()]).unwrap();
        let apps = Apps {
            well: Subscriber::start().await,
            gone: Subscriber::start().await,
        };
        apps.gone.behave(answers(410));
        let mut conn = db.acquire().await.unwrap();
        for app in [&apps.well, &apps.gone] {
            let wish = Wish {
                url: &app.url,
                types: None,
                allow_private: true,
            };
            operate::add(&mut conn, &keyring, wish, chrono::Utc::now(), by)
                .await
                .unwrap();
        }
        apps
    }

    /// Something happens that both are told about.
    pub async fn announce(&self, db: &PgPool) {
        let mut tx = db.begin().await.unwrap();
        let news = NewNotification {
            account_id: "ann".into(),
            kind: "usage.threshold".into(),
            occasion: "the limit".into(),
            data: json!({ "accountId": "ann", "percent": 100 }),
        };
        let announced = notify::announce(&mut tx, &[news]).await.unwrap();
        assert_eq!(announced.len(), 1);
        tx.commit().await.unwrap();
    }

    /// What they know, however often they were told.
    pub fn state(&self) -> Vec<String> {
        let known = [("listens", &self.well), ("is gone", &self.gone)].map(|(which, app)| {
            let told = app.told();
            let ids: BTreeSet<_> = told.iter().map(|told| told.header("webhook-id")).collect();
            let bodies: BTreeSet<_> = told.iter().map(|told| &told.body).collect();
            format!(
                "the app that {which} was told {} things under {} ids",
                bodies.len(),
                ids.len()
            )
        });
        known.into()
    }
}
