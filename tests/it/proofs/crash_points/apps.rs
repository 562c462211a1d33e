//! Who is told in the story: an app that listens, one that is gone, and two customers, of whom mail reaches one.

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
use tollkeeper_jobs::{NewNotification, billing_notices::cancellation_scheduled};

use crate::support::{
    mail_server::MailServer,
    subscriber::{Subscriber, answers},
};

pub struct Apps {
    well: Arc<Subscriber>,
    gone: Arc<Subscriber>,
    mail: Arc<MailServer>,
}

impl Apps {
    /// Registered in this database, their secrets sealed with this key; mail goes by this server.
    pub async fn register(db: &PgPool, key: &str, mail: Arc<MailServer>, by: By<'_>) -> Apps {
        let keyring = Keyring::new(&[key.into()]).unwrap();
        let apps = Apps {
            well: Subscriber::start().await,
            gone: Subscriber::start().await,
            mail,
        };
        apps.gone.behave(answers(410));
        apps.mail.knows_not("ben@example.com");
        let mut conn = db.acquire().await.unwrap();
        // The one that is gone is told one thing: how many more it were, until it is known, is chance.
        let one = ["usage.threshold".to_owned()];
        for (app, types) in [(&apps.well, None), (&apps.gone, Some(&one[..]))] {
            let wish = Wish {
                url: &app.url,
                types,
                allow_private: true,
            };
            operate::add(&mut conn, &keyring, wish, chrono::Utc::now(), by)
                .await
                .unwrap();
        }
        apps
    }

    /// Something happens that both apps are told about, and something that two customers are.
    pub async fn announce(&self, db: &PgPool) {
        let mut tx = db.begin().await.unwrap();
        let news = NewNotification {
            account_id: "ann".into(),
            kind: "usage.threshold".into(),
            occasion: "the limit".into(),
            data: json!({ "accountId": "ann", "percent": 100 }),
        };
        let ends_at = "2027-01-01T00:00:00Z".parse().unwrap();
        let of_ann = cancellation_scheduled("ann", "sub_1", ends_at);
        let of_ben = cancellation_scheduled("ben", "sub_2", ends_at);
        let all = [news, of_ann, of_ben];
        let announced = notify::announce(&mut tx, &all).await.unwrap();
        assert_eq!(announced.len(), 3);
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
        let received = self.mail.received();
        let of: BTreeSet<_> = received.iter().map(|mail| &mail.to).collect();
        let mails: BTreeSet<_> = received.iter().map(|mail| &mail.message).collect();
        let mailed = format!("{of:?} were mailed {} things", mails.len());
        known.into_iter().chain([mailed]).collect()
    }
}
