//! Events: what happened, rendered once in both shapes, and how their delivery stands.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Stripe,
    billing::{model::Invoice, shape},
    changes::flag,
    errors,
    filters::Created,
    model::{ApiVersion, Subscription},
    shapes,
    shelf::Object,
};
use crate::sandbox::wire::{Reply, Request};

/// Older ones can no longer be listed.
const LISTED_FOR: i64 = 30 * 24 * 60 * 60;

/// One value per API version.
#[derive(Debug, Clone)]
pub struct Both {
    pub old: Value,
    pub new: Value,
}

impl Both {
    pub fn render(render: impl Fn(ApiVersion) -> Value) -> Both {
        Both {
            old: render(ApiVersion::Old),
            new: render(ApiVersion::New),
        }
    }

    fn of(&self, version: ApiVersion) -> &Value {
        match version {
            ApiVersion::Old => &self.old,
            ApiVersion::New => &self.new,
        }
    }
}

/// What an event is about, as it was then. It is put into words when somebody reads it: most
/// events are read in one version, many in none.
#[derive(Debug, Clone)]
pub enum Snapshot {
    Subscription(Box<Subscription>),
    Invoice(Box<Invoice>),
    Rendered(Box<Both>),
}

impl From<Both> for Snapshot {
    fn from(both: Both) -> Snapshot {
        Snapshot::Rendered(Box::new(both))
    }
}

impl Snapshot {
    fn json(&self, version: ApiVersion) -> Value {
        match self {
            Snapshot::Subscription(subscription) => shapes::subscription(subscription, version),
            Snapshot::Invoice(invoice) => shape::invoice(invoice, version),
            Snapshot::Rendered(both) => both.of(version).clone(),
        }
    }

    fn id(&self) -> &str {
        match self {
            Snapshot::Subscription(subscription) => &subscription.id,
            Snapshot::Invoice(invoice) => &invoice.id,
            Snapshot::Rendered(both) => both.new["id"].as_str().unwrap_or_default(),
        }
    }
}

/// The top-level fields that differ, with the values they had before.
fn changes(before: &Value, after: &Value) -> Value {
    let Value::Object(fields) = before else {
        return Value::Null;
    };
    let changed = fields
        .iter()
        .filter(|(name, value)| after.get(name.as_str()) != Some(value));
    Value::Object(
        changed
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// How the delivery to one endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Waiting,
    /// Never sent, by a rule: only the list of events has it.
    Lost,
    /// Given up after the last attempt.
    Failed,
    Delivered,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub created: i64,
    pub kind: &'static str,
    /// The id of what it is about.
    pub object_id: String,
    /// By endpoint.
    pub standings: Vec<(String, Standing)>,
    object: Snapshot,
    /// The object before it was changed.
    before: Option<Snapshot>,
}

impl Object for Event {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Event {
    /// What is sent and listed: for one version always the same text.
    pub fn body(&self, version: ApiVersion) -> String {
        self.json(version).to_string()
    }

    fn json(&self, version: ApiVersion) -> Value {
        let object = self.object.json(version);
        let mut data = json!({});
        if let Some(before) = &self.before {
            data["previous_attributes"] = changes(&before.json(version), &object);
        }
        data["object"] = object;
        json!({
            "id": self.id,
            "object": "event",
            "api_version": version.name(),
            "created": self.created,
            "data": data,
            "livemode": false,
            "pending_webhooks": self.standings.len(),
            "request": {"id": null, "idempotency_key": null},
            "type": self.kind,
        })
    }

    pub fn is_delivered(&self) -> bool {
        self.standings
            .iter()
            .all(|(_, standing)| *standing == Standing::Delivered)
    }
}

impl Stripe {
    /// Something happened: keep it, and send it to every endpoint that wants it.
    pub(super) fn emit(
        &mut self,
        at: i64,
        kind: &'static str,
        object: Snapshot,
        before: Option<Snapshot>,
    ) {
        let id = self.ids.next("evt", 24);
        let standings = self.post.dispatch(&id, kind);
        self.events.add(Event {
            id,
            created: at,
            kind,
            object_id: object.id().to_owned(),
            standings,
            object,
            before,
        });
    }

    /// An event about a subscription as it is now.
    pub(super) fn emit_subscription(&mut self, at: i64, kind: &'static str, id: &str) {
        if let Some(subscription) = self.subscriptions.get(id) {
            let object = Snapshot::Subscription(Box::new(subscription.clone()));
            self.emit(at, kind, object, None);
        }
    }

    /// Change a subscription, and tell when something is different afterwards.
    pub(super) fn change_subscription(
        &mut self,
        at: i64,
        id: &str,
        change: impl FnOnce(&mut Subscription),
    ) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        let before = subscription.clone();
        change(subscription);
        self.schedule(id);
        self.emit_change(at, id, before);
    }

    /// `customer.subscription.updated` with what is different from before, if anything is.
    pub(super) fn emit_change(&mut self, at: i64, id: &str, before: Subscription) {
        let after = self.subscriptions.get(id);
        if let Some(after) = after.filter(|after| **after != before) {
            let after = Snapshot::Subscription(Box::new(after.clone()));
            let before = Snapshot::Subscription(Box::new(before));
            self.emit(at, "customer.subscription.updated", after, Some(before));
        }
    }

    /// `GET /v1/events`. Events keep the account's version, whatever the request's.
    pub(super) fn list_events(
        &self,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let params = &request.params;
        let kinds = [
            params.list("types"),
            params.get("type").into_iter().collect(),
        ]
        .concat();
        if kinds.len() > 20 {
            return Err(errors::invalid_parameter(
                "types",
                "at most 20 types can be listed",
            ));
        }
        let wants_delivered = flag(params, "delivery_success")?;
        let created = Created::of(params)?;
        let oldest = now.timestamp() - LISTED_FOR;
        let is_wanted = |event: &Event| {
            event.created >= oldest
                && created.holds(event.created)
                && (kinds.is_empty() || kinds.iter().any(|kind| matches(kind, event.kind)))
                && wants_delivered.is_none_or(|wanted| event.is_delivered() == wanted)
        };
        self.events.page(params, "/v1/events", is_wanted, |event| {
            event.json(self.version)
        })
    }

    pub(super) fn get_event(&self, id: &str) -> Result<Value, Reply> {
        let event = self
            .events
            .get(id)
            .ok_or_else(|| errors::no_such("event", id))?;
        Ok(event.json(self.version))
    }
}

/// `invoice.*` is every kind that begins so, `*` every kind.
pub(super) fn matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => pattern == kind,
    }
}
