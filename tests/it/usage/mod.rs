//! Usage: may they, and it was done. Right at the limit, and counted once.

mod access;
mod askers;
mod at_once;
mod corrections;
mod holds;
mod limits;
mod model;
mod old_faults;
mod recount;
mod stats;
mod thresholds;
mod tracking;

use serde_json::{Value, json};
use tollkeeper::http::auth::Scope;

use crate::support::api::{Answer, Api};

const BASE: &str = "/api/subscription";

/// An app with a key that may do everything.
struct App {
    api: Api,
    key: String,
}

impl App {
    async fn start() -> App {
        let api = Api::start().await;
        let key = api.key(&[Scope::All]).await;
        App { api, key }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.api
            .post(&format!("{BASE}/{path}"), &self.key, body)
            .await
    }

    async fn keyed(&self, path: &str, key: &str, body: Value) -> Answer {
        let headers = [("idempotency-key", key)];
        let path = format!("{BASE}/{path}");
        let body = Some(body);
        self.api
            .call(reqwest::Method::POST, &path, &self.key, body, &headers)
            .await
    }

    async fn track(&self, user: &str, feature: &str, quantity: impl Into<Value>) -> Answer {
        let quantity: Value = quantity.into();
        let body = json!({ "userId": user, "feature": feature, "quantity": quantity });
        self.post("track-usage", body).await
    }

    async fn ask(&self, user: &str, feature: &str, quantity: u64) -> Value {
        let body = json!({ "userId": user, "feature": feature, "requestedQuantity": quantity });
        let answer = self.post("validate-access", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["data"].clone()
    }

    /// What is counted of a feature in the window that runs.
    async fn used(&self, user: &str, feature: &str) -> Value {
        self.ask(user, feature, 1).await["currentUsage"].clone()
    }
}

/// The members of an object that are named.
fn part(object: &Value, names: &[&str]) -> Value {
    let part = names
        .iter()
        .map(|name| (name.to_string(), object[*name].clone()));
    Value::Object(part.collect())
}
