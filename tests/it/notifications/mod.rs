//! What happened, told to the apps: announced with the change, delivered to every endpoint that wants it.

mod commands;
mod delivery;
mod endpoints;
mod mail;
mod mail_faults;
mod mail_secrets;
mod private_addresses;
mod replays;

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;
use tollkeeper::{
    config::Config,
    notify::{
        self,
        operate::{self, Wish},
    },
    queue::operate::By,
};
use tollkeeper_jobs::NewNotification;
use uuid::Uuid;

use crate::support::{service::Service, subscriber::Subscriber};

const BY: By<'_> = By {
    who: "ann",
    why: "the app listens",
};

/// A service that tells apps.
struct Teller {
    service: Service,
}

/// An app, and the endpoint it is known by.
struct App {
    subscriber: Arc<Subscriber>,
    endpoint_id: Uuid,
    secret: String,
}

impl Teller {
    async fn new() -> Teller {
        Teller::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Teller {
        let service = Service::with(change).await;
        Teller { service }
    }

    /// An app that listens for these types; none: for all.
    async fn app(&self, types: &[&str]) -> App {
        let subscriber = Subscriber::start().await;
        let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        let wish = Wish {
            url: &subscriber.url,
            types: (!types.is_empty()).then_some(&types),
            allow_private: true,
        };
        let mut conn = self.service.db.acquire().await.unwrap();
        let ctx = &self.service.ctx;
        let issued = operate::add(&mut conn, &ctx.keyring, wish, ctx.clock.now(), BY)
            .await
            .unwrap();
        App {
            subscriber,
            endpoint_id: issued.endpoint_id,
            secret: issued.secret.expose_secret().to_owned(),
        }
    }

    async fn announce(&self, all: &[NewNotification]) -> Vec<Uuid> {
        let mut tx = self.service.db.begin().await.unwrap();
        let announced = notify::announce(&mut tx, all).await.unwrap();
        tx.commit().await.unwrap();
        self.service.ctx.wake.ring();
        announced
    }
}

/// Ann has used that much of her limit.
fn threshold(percent: u32) -> NewNotification {
    NewNotification {
        account_id: "ann".into(),
        kind: "usage.threshold".into(),
        occasion: format!("2026-11 calls {percent}"),
        data: json!({ "accountId": "ann", "meter": "calls", "percent": percent }),
    }
}
