//! Numbers as `GET /api/twilio/numbers` shows them.

use poem_openapi::{Object, types::Any};
use serde_json::{Value, json};

use crate::{db::overview::PhoneNumber, http::problem::timestamp};

#[derive(Debug, Object)]
pub struct Numbers {
    /// Always true.
    success: bool,
    /// The primary one first; empty when the user has none.
    numbers: Vec<Number>,
}

/// A number in use.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Number {
    id: String,
    user_id: String,
    /// E.164.
    phone_number: String,
    /// `PN…`; at VoIP.ms the number's ten digits.
    phone_sid: String,
    friendly_name: Option<String>,
    capabilities: Capabilities,
    is_primary: bool,
    status: String,
    purchased_at: Option<String>,
    created_at: String,
    updated_at: String,
}

/// The same number, as the phone system's clients know it.
#[derive(Debug, Object)]
pub struct HeldNumber {
    id: String,
    /// E.164.
    phone_number: String,
    friendly_name: Option<String>,
    capabilities: UpperCapabilities,
    /// twilio or voipms.
    provider: String,
    /// `PN…`; at VoIP.ms the number's ten digits.
    provider_sid: String,
    /// Always null: what a number costs is in the user's plan, and on their bill.
    monthly_cost: Option<f64>,
    status: String,
    /// The user.
    assigned_to: String,
    /// Always empty.
    metadata: Any<Value>,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Object)]
pub struct UpperCapabilities {
    voice: bool,
    #[oai(rename = "SMS")]
    sms: bool,
    #[oai(rename = "MMS")]
    mms: bool,
}

impl HeldNumber {
    pub fn of(row: PhoneNumber) -> HeldNumber {
        HeldNumber {
            id: row.id.to_string(),
            phone_number: row.phone_number,
            friendly_name: row.friendly_name,
            capabilities: UpperCapabilities::of(row.capabilities.as_ref()),
            provider: row.provider,
            provider_sid: row.number_ref,
            monthly_cost: None,
            status: row.status,
            assigned_to: row.account_id,
            metadata: Any(json!({})),
            created_at: timestamp(row.created_at),
            updated_at: timestamp(row.updated_at),
        }
    }
}

impl UpperCapabilities {
    /// As [`Capabilities::of`].
    pub fn of(stored: Option<&Value>) -> UpperCapabilities {
        let Capabilities { voice, sms, mms } = Capabilities::of(stored);
        UpperCapabilities { voice, sms, mms }
    }
}

#[derive(Debug, PartialEq, Eq, Object)]
pub struct Capabilities {
    voice: bool,
    sms: bool,
    mms: bool,
}

impl Numbers {
    /// In the order of the rows.
    pub fn of(rows: Vec<PhoneNumber>) -> Numbers {
        Numbers {
            success: true,
            numbers: rows.into_iter().map(Number::of).collect(),
        }
    }
}

impl Number {
    pub fn of(row: PhoneNumber) -> Number {
        Number {
            id: row.id.to_string(),
            user_id: row.account_id,
            phone_number: row.phone_number,
            phone_sid: row.number_ref,
            friendly_name: row.friendly_name,
            capabilities: Capabilities::of(row.capabilities.as_ref()),
            is_primary: row.is_primary,
            status: row.status,
            purchased_at: row.purchased_at.map(timestamp),
            created_at: timestamp(row.created_at),
            updated_at: timestamp(row.updated_at),
        }
    }
}

impl Capabilities {
    /// Twilio writes `voice`, `SMS` and `MMS`, and in other places all of them small.
    pub fn of(stored: Option<&Value>) -> Capabilities {
        let has = |name: &str| {
            stored
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .any(|(key, value)| key.eq_ignore_ascii_case(name) && value == &Value::Bool(true))
        };
        Capabilities {
            voice: has("voice"),
            sms: has("sms"),
            mms: has("mms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn capabilities_read_in_either_spelling() {
        let all = Capabilities {
            voice: true,
            sms: true,
            mms: true,
        };
        let none = Capabilities {
            voice: false,
            sms: false,
            mms: false,
        };

        assert_eq!(
            Capabilities::of(Some(&json!({ "voice": true, "SMS": true, "MMS": true }))),
            all
        );
        assert_eq!(
            Capabilities::of(Some(&json!({ "voice": true, "sms": true, "mms": true }))),
            all
        );
        assert_eq!(
            Capabilities::of(Some(&json!({ "voice": "yes", "sms": false }))),
            none
        );
        assert_eq!(Capabilities::of(None), none);
    }
}
