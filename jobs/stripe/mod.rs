//! Stripe's objects, as far as decisions look at them.
//!
//! Fields moved in 2025 and accounts are pinned to one side or the other, so each type reads both
//! positions and answers with one accessor. Ids come as text or as the expanded object; unknown
//! fields are passed over and unknown enum values kept.

mod charge;
mod checkout;
mod credit_note;
mod customer;
mod dispute;
mod event;
mod invoice;
mod preview;
mod subscription;
mod whose;

pub use charge::{Charge, Refund};
pub use checkout::CheckoutSession;
pub use credit_note::CreditNote;
pub use customer::Customer;
pub use dispute::{Dispute, DisputeStatus};
pub use event::{Event, Object};
pub use invoice::{Invoice, InvoiceItem};
pub use preview::{Preview, PreviewLine};
pub use subscription::{Status, Subscription};
pub use whose::Whose;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

pub type Metadata = BTreeMap<String, String>;

/// The id of an object that may be expanded in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(pub String);

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Id(String),
            Object { id: String },
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Id(id) | Either::Object { id } => Reference(id),
        })
    }
}

/// One page of a list, or the part of it that is embedded in an object.
#[derive(Debug, Clone, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List {
            data: Vec::new(),
            has_more: false,
        }
    }
}

/// `null` and absent read alike.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The names under which our apps have put their user's id into metadata, the most specific first.
const ACCOUNT_KEYS: [&str; 7] = [
    "user_id",
    "userId",
    "account_id",
    "supabase_user_id",
    "tenant_id",
    "tenantId",
    "client_reference_id",
];

/// The account that an object's metadata names.
pub fn account_in(metadata: &Metadata) -> Option<String> {
    ACCOUNT_KEYS
        .iter()
        .find_map(|key| usable_account(metadata.get(*key)?))
}

/// An account id as it is stored, or nothing when it cannot be one.
pub(crate) fn usable_account(text: &str) -> Option<String> {
    let text = text.trim();
    let is_usable = !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
    is_usable.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_from_text_and_from_the_expanded_object() {
        for json in [
            r#""cus_1""#,
            r#"{"id":"cus_1","object":"customer","deleted":true}"#,
        ] {
            assert_eq!(
                serde_json::from_str::<Reference>(json).unwrap(),
                Reference("cus_1".into())
            );
        }
    }

    #[test]
    fn metadata_names_the_account_by_its_most_specific_key() {
        let metadata = |pairs: &[(&str, &str)]| -> Metadata {
            pairs
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect()
        };
        for (pairs, account) in [
            (&[("tenant_id", "42"), ("userId", "ann")][..], Some("ann")),
            (&[("tenant_id", " 42 ")], Some("42")),
            (&[("user_id", "  "), ("tenant_id", "42")], Some("42")),
            (&[("tier", "pro")], None),
        ] {
            assert_eq!(account_in(&metadata(pairs)).as_deref(), account);
        }
        assert_eq!(usable_account(&"x".repeat(201)), None);
    }
}
