//! Whose an event is, as far as its body says so. It tells in whose turn the event's jobs run, and
//! nothing else is decided on it: what does not read as expected names nobody.

use serde::{Deserialize, Deserializer};

use super::{Metadata, Reference, account_in, usable_account};

/// What an event says about whose it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    /// The Stripe customer that its object belongs to.
    pub customer_ref: Option<String>,
    /// The account that its object's metadata names; said of a customer nobody knows yet.
    pub account_id: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    data: Whose,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    customer: Option<Reference>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    client_reference_id: Option<String>,
    /// Of an invoice, since 2025-03-31.
    #[serde(default)]
    parent: Option<Parent>,
    /// Of an invoice, until 2025-02-24.
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct SubscriptionDetails {
    #[serde(default)]
    metadata: Option<Metadata>,
}

impl Whose {
    /// Of a snapshot event's raw body. A thin event says nothing.
    pub fn read(body: &[u8]) -> Whose {
        match serde_json::from_slice::<Envelope>(body) {
            Ok(envelope) => envelope.data,
            Err(_) => Whose::default(),
        }
    }
}

/// From what a snapshot event has under `data`. An error where that is in no shape known here.
impl<'de> Deserialize<'de> for Whose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Whose, D::Error> {
        Data::deserialize(deserializer).map(|data| data.object.whose())
    }
}

impl Object {
    fn whose(self) -> Whose {
        let is_customer = self.object.as_deref() == Some("customer");
        let customer_ref = match self.customer {
            Some(customer) => Some(customer.0),
            None => self.id.filter(|_| is_customer),
        };
        let of_subscription = self
            .parent
            .and_then(|parent| parent.subscription_details)
            .or(self.subscription_details)
            .and_then(|details| details.metadata);
        let account_id = [self.metadata, of_subscription]
            .iter()
            .flatten()
            .find_map(account_in)
            .or_else(|| usable_account(self.client_reference_id.as_deref()?));
        Whose {
            // It is looked up as it is: a text that no column takes would fail its whole transaction.
            customer_ref: customer_ref.filter(|customer| is_plain(customer)),
            account_id,
        }
    }
}

fn is_plain(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, customer_ref: Option<&str>, account_id: Option<&str>) {
        let whose = Whose::read(body.as_bytes());
        assert_eq!(whose.customer_ref.as_deref(), customer_ref, "{body}");
        assert_eq!(whose.account_id.as_deref(), account_id, "{body}");
    }

    fn recorded(file: &str, customer_ref: Option<&str>, account_id: Option<&str>) {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/it/golden/webhooks/stripe"
        );
        let body = std::fs::read_to_string(format!("{folder}/{file}.json")).unwrap();
        check(&body, customer_ref, account_id);
    }

    #[test]
    fn every_kind_of_object_names_its_customer_in_both_shapes() {
        let customer = Some("cus_TFixture000001");
        for shape in ["new", "old"] {
            for (kind, account_id) in [
                ("customer.subscription.created", Some("42")),
                ("invoice.paid.subscription_cycle", Some("42")),
                ("checkout.session.completed", Some("42")),
                ("charge.refunded.full", None),
            ] {
                recorded(&format!("{shape}/{kind}"), customer, account_id);
            }
            let whose = Whose::read(
                &std::fs::read(format!(
                    "{}/../tests/it/golden/webhooks/stripe/{shape}/customer.deleted.json",
                    env!("CARGO_MANIFEST_DIR")
                ))
                .unwrap(),
            );
            assert_eq!(whose.customer_ref.as_deref(), customer, "{shape}");
        }
        recorded("thin/v1.invoice.created", None, None);
    }

    #[test]
    fn what_does_not_read_as_expected_names_nobody() {
        for body in [
            "",
            "{}",
            r#"{"data":{"object":"in_1"}}"#,
            r#"{"data":{"object":{"customer":7}}}"#,
            r#"{"data":{"object":{"customer":"cus_\u0000"}}}"#,
            r#"{"data":{"object":{"customer":""}}}"#,
            r#"{"data":{"object":{"object":"invoice","id":"in_1"}}}"#,
        ] {
            check(body, None, None);
        }
    }
}
