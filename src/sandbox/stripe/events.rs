//! Events: what happened, rendered once in both shapes, and how their delivery stands.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Stripe, errors,
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

    /// The top-level fields that differ, with the values they had before.
    fn changes_from(&self, before: &Both) -> Both {
        Both::render(|version| {
            let (Value::Object(before), now) = (before.of(version), self.of(version)) else {
                return Value::Null;
            };
            let changed = before
                .iter()
                .filter(|(name, value)| now.get(name.as_str()) != Some(value));
            Value::Object(
                changed
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            )
        })
    }
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
    /// What is sent and listed, one text per version: it never changes again.
    old_body: Box<str>,
    new_body: Box<str>,
}

impl Object for Event {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Event {
    pub fn body(&self, version: ApiVersion) -> &str {
        match version {
            ApiVersion::Old => &self.old_body,
            ApiVersion::New => &self.new_body,
        }
    }

    fn json(&self, version: ApiVersion) -> Value {
        serde_json::from_str(self.body(version)).expect("the body was made from JSON")
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
        object: Both,
        previous: Option<Both>,
    ) {
        let id = self.ids.next("evt", 24);
        let standings = self.post.dispatch(&id, kind);
        let body = |version: ApiVersion| {
            let mut data = json!({"object": object.of(version)});
            if let Some(previous) = &previous {
                data["previous_attributes"] = previous.of(version).clone();
            }
            let event = json!({
                "id": id,
                "object": "event",
                "api_version": version.name(),
                "created": at,
                "data": data,
                "livemode": false,
                "pending_webhooks": standings.len(),
                "request": {"id": null, "idempotency_key": null},
                "type": kind,
            });
            event.to_string().into_boxed_str()
        };
        let event = Event {
            created: at,
            kind,
            object_id: object.new["id"].as_str().unwrap_or_default().to_owned(),
            old_body: body(ApiVersion::Old),
            new_body: body(ApiVersion::New),
            id,
            standings,
        };
        self.events.add(event);
    }

    /// An event about a subscription as it is now.
    pub(super) fn emit_subscription(&mut self, at: i64, kind: &'static str, id: &str) {
        if let Some(object) = self.subscription_in_both(id) {
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
        let Some(before) = self.subscription_in_both(id) else {
            return;
        };
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            change(subscription);
        }
        self.emit_change(at, id, &before);
    }

    /// `customer.subscription.updated` with what is different from before, if anything is.
    pub(super) fn emit_change(&mut self, at: i64, id: &str, before: &Both) {
        let Some(after) = self.subscription_in_both(id) else {
            return;
        };
        if before.new != after.new {
            let previous = after.changes_from(before);
            self.emit(at, "customer.subscription.updated", after, Some(previous));
        }
    }

    pub(super) fn subscription_in_both(&self, id: &str) -> Option<Both> {
        let subscription = self.subscriptions.get(id)?;
        Some(Both::render(|version| {
            shapes::subscription(subscription, version)
        }))
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
        let wants_delivered = match params.get("delivery_success") {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                return Err(errors::invalid_parameter(
                    "delivery_success",
                    "Invalid boolean",
                ));
            }
        };
        let bound = |name: &str| match params.get(name).map(str::parse::<i64>) {
            None => Ok(None),
            Some(Ok(bound)) => Ok(Some(bound)),
            Some(Err(_)) => Err(errors::invalid_parameter(name, "Invalid integer")),
        };
        let (from, after) = (bound("created[gte]")?, bound("created[gt]")?);
        let (until, before) = (bound("created[lte]")?, bound("created[lt]")?);
        let oldest = now.timestamp() - LISTED_FOR;
        let is_wanted = |event: &Event| {
            event.created >= oldest
                && from.is_none_or(|bound| event.created >= bound)
                && after.is_none_or(|bound| event.created > bound)
                && until.is_none_or(|bound| event.created <= bound)
                && before.is_none_or(|bound| event.created < bound)
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
