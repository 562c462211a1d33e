//! `/v1/webhook_endpoints`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Stripe, errors, model::ApiVersion, shelf::Object};
use crate::sandbox::wire::{Reply, Request};

/// Where events go. A deleted one is kept, disabled.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: String,
    pub created: i64,
    pub url: String,
    pub secret: String,
    pub enabled_events: Vec<String>,
    pub version: ApiVersion,
    pub is_enabled: bool,
}

impl Object for Endpoint {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Endpoint {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": self.version.name(),
            "application": null,
            "created": self.created,
            "description": null,
            "enabled_events": self.enabled_events,
            "livemode": false,
            "metadata": {},
            "status": if self.is_enabled { "enabled" } else { "disabled" },
            "url": self.url,
        })
    }
}

impl Stripe {
    pub(super) fn create_endpoint(
        &mut self,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let params = &request.params;
        let url = params
            .get("url")
            .ok_or_else(|| errors::missing_parameter("url"))?;
        if !url.starts_with("http") {
            return Err(errors::invalid_parameter("url", "Invalid URL"));
        }
        let enabled_events: Vec<String> = params
            .list("enabled_events")
            .into_iter()
            .map(str::to_owned)
            .collect();
        if enabled_events.is_empty() {
            return Err(errors::missing_parameter("enabled_events"));
        }
        let version = params
            .get("api_version")
            .map_or(self.version, ApiVersion::of);
        let url = url.to_owned();
        let secret = self.ids.next("whsec", 32);
        let id = self.add_endpoint(url, secret.clone(), enabled_events, version, now);
        let mut value = self.get_endpoint(&id)?;
        value["secret"] = json!(secret);
        Ok(value)
    }

    /// Returns the new endpoint's id.
    fn add_endpoint(
        &mut self,
        url: String,
        secret: String,
        enabled_events: Vec<String>,
        version: ApiVersion,
        now: DateTime<Utc>,
    ) -> String {
        let id = self.ids.next("we", 24);
        self.post.endpoints.add(Endpoint {
            id: id.clone(),
            created: now.timestamp(),
            url,
            secret,
            enabled_events,
            version,
            is_enabled: true,
        });
        id
    }

    /// An endpoint for all kinds of events, in the account's version. Returns its id.
    pub(in crate::sandbox) fn add_webhook(
        &mut self,
        url: String,
        secret: String,
        now: DateTime<Utc>,
    ) -> String {
        self.add_endpoint(url, secret, vec!["*".to_owned()], self.version, now)
    }

    pub(super) fn get_endpoint(&self, id: &str) -> Result<Value, Reply> {
        let endpoint = self
            .post
            .endpoints
            .get(id)
            .filter(|endpoint| endpoint.is_enabled);
        endpoint
            .map(Endpoint::json)
            .ok_or_else(|| errors::no_such("webhook endpoint", id))
    }

    pub(super) fn list_endpoints(&self, request: &Request) -> Result<Value, Reply> {
        let is_enabled = |endpoint: &Endpoint| endpoint.is_enabled;
        self.post.endpoints.page(
            &request.params,
            "/v1/webhook_endpoints",
            is_enabled,
            Endpoint::json,
        )
    }

    /// What was due to it is never delivered.
    pub(super) fn delete_endpoint(&mut self, id: &str) -> Result<Value, Reply> {
        let endpoint = self
            .post
            .endpoints
            .get_mut(id)
            .filter(|endpoint| endpoint.is_enabled);
        let endpoint = endpoint.ok_or_else(|| errors::no_such("webhook endpoint", id))?;
        endpoint.is_enabled = false;
        Ok(json!({"id": id, "object": "webhook_endpoint", "deleted": true}))
    }
}
