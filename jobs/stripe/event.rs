//! An event: a hint that something about an object changed.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{Charge, CheckoutSession, Customer, Dispute, Invoice, Refund, Subscription};

/// An event of either rendering: with the object in it, or thin, with only its id.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    /// `customer.subscription.updated`; a thin event's `v1.` is taken off.
    pub kind: String,
    pub created: Option<DateTime<Utc>>,
    pub object: Object,
}

#[derive(Debug, Clone)]
pub enum Object {
    Subscription(Box<Subscription>),
    Invoice(Box<Invoice>),
    CheckoutSession(Box<CheckoutSession>),
    Customer(Customer),
    Charge(Charge),
    Refund(Refund),
    Dispute(Box<Dispute>),
    /// A thin event: the object's kind and id, to be fetched.
    Related {
        kind: String,
        id: String,
    },
    /// Of a kind nothing here looks at.
    Other,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    created: Value,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    related_object: Option<Related>,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Related {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Event {
    /// Read an event from the raw body.
    pub fn parse(body: &[u8]) -> Result<Event, serde_json::Error> {
        let envelope: Envelope = serde_json::from_slice(body)?;
        let object = match (envelope.data, envelope.related_object) {
            (Some(data), _) => object_of(data.object)?,
            (None, Some(related)) => Object::Related {
                kind: related.kind,
                id: related.id,
            },
            (None, None) => Object::Other,
        };
        let kind = envelope.kind.strip_prefix("v1.").unwrap_or(&envelope.kind);
        Ok(Event {
            id: envelope.id,
            kind: kind.to_owned(),
            created: created_at(&envelope.created),
            object,
        })
    }
}

fn object_of(object: Value) -> Result<Object, serde_json::Error> {
    use serde_json::from_value;
    Ok(match object.get("object").and_then(Value::as_str) {
        Some("subscription") => Object::Subscription(from_value(object)?),
        Some("invoice") => Object::Invoice(from_value(object)?),
        Some("checkout.session") => Object::CheckoutSession(from_value(object)?),
        Some("customer") => Object::Customer(from_value(object)?),
        Some("charge") => Object::Charge(from_value(object)?),
        Some("refund") => Object::Refund(from_value(object)?),
        Some("dispute") => Object::Dispute(from_value(object)?),
        _ => Object::Other,
    })
}

/// Seconds in a snapshot event, RFC 3339 in a thin one.
fn created_at(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(seconds) => DateTime::from_timestamp(seconds.as_i64()?, 0),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(folder: &str) -> Vec<(String, Event)> {
        let folder = format!(
            "{}/../tests/it/golden/webhooks/stripe/{folder}",
            env!("CARGO_MANIFEST_DIR")
        );
        let mut events: Vec<(String, Event)> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{folder}: {error}"))
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let event = Event::parse(&std::fs::read(&path).unwrap())
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                (name, event)
            })
            .collect();
        events.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(!events.is_empty());
        events
    }

    #[test]
    fn both_shapes_of_a_subscription_say_the_same() {
        for folder in ["new", "old"] {
            for (name, event) in recorded(folder) {
                let Object::Subscription(subscription) = event.object else {
                    continue;
                };
                assert_eq!(subscription.id, "sub_1SFixture0000000001", "{name}");
                assert_eq!(subscription.customer.0, "cus_TFixture000001", "{name}");
                let (starts_at, ends_at) = subscription.period().expect(&name);
                assert!(starts_at < ends_at, "{name}");
                assert_eq!(subscription.price_refs().count(), 1, "{name}");
                assert_eq!(
                    super::super::account_in(&subscription.metadata).as_deref(),
                    Some("42"),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn both_shapes_of_an_invoice_name_its_subscription() {
        for folder in ["new", "old"] {
            for (name, event) in recorded(folder) {
                let Object::Invoice(invoice) = event.object else {
                    continue;
                };
                assert_eq!(
                    invoice.subscription_ref(),
                    Some("sub_1SFixture0000000001"),
                    "{folder}/{name}"
                );
                assert_eq!(
                    invoice.is_paid(),
                    name.contains("paid") || name.contains("succeeded"),
                    "{folder}/{name}"
                );
            }
        }
    }

    #[test]
    fn a_checkout_and_its_subscription_name_one_account() {
        for folder in ["new", "old"] {
            for (name, event) in recorded(folder) {
                if let Object::CheckoutSession(session) = event.object {
                    assert_eq!(session.account_id().as_deref(), Some("42"), "{name}");
                    assert_eq!(session.email(), Some("zoe@example.com"), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_thin_event_names_its_object() {
        let (_, event) = recorded("thin").remove(0);
        assert_eq!(event.kind, "invoice.created");
        assert!(event.created.is_some());
        assert!(
            matches!(event.object, Object::Related { kind, id } if kind == "invoice" && id == "in_1SFixtureCycle01")
        );
    }

    #[test]
    fn a_status_of_tomorrow_is_kept() {
        let json = r#"{"id":"sub_1","customer":{"id":"cus_1","deleted":true},"status":"hibernating","metadata":null,"items":null}"#;
        let subscription: Subscription = serde_json::from_str(json).unwrap();
        assert_eq!(subscription.status.as_str(), "hibernating");
        assert_eq!(subscription.customer.0, "cus_1");
        assert_eq!(subscription.period(), None);
    }
}
