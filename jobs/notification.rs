//! What apps are told: its shape, its name, and which endpoint wants it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;

/// What a trial of an endpoint is called. It is stored for one endpoint, whatever types that wants.
pub const TEST_PING: &str = "test.ping";

/// Something to be told, once for each (account, type, occasion).
#[derive(Debug, Clone, PartialEq)]
pub struct NewNotification {
    /// Empty for what concerns no account.
    pub account_id: String,
    /// Full-stop delimited and for ever, such as `usage.threshold`: apps choose by it.
    pub kind: String,
    /// What makes it this one and no other of its type, such as the period and the threshold.
    pub occasion: String,
    /// What the app is told, as it is sent. It names whatever it is about, the account too.
    pub data: Value,
}

impl NewNotification {
    pub fn of(
        account_id: &str,
        kind: &str,
        occasion: String,
        data: &impl Serialize,
    ) -> NewNotification {
        NewNotification {
            account_id: account_id.to_owned(),
            kind: kind.to_owned(),
            occasion,
            data: serde_json::to_value(data).expect("a notification is plain data"),
        }
    }
}

/// Whether a text is the name of a type: words of small letters, digits and `_`, two or more of them,
/// with a full stop between.
pub fn is_type(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    text.len() <= TYPE_MAX && text.contains('.') && text.split('.').all(is_word)
}

const TYPE_MAX: usize = 100;

/// Whether an endpoint wants a type. None: it wants all of them.
pub fn is_wanted(types: Option<&[String]>, kind: &str) -> bool {
    types.is_none_or(|types| types.iter().any(|wanted| wanted == kind))
}

/// The body of a delivery: the same bytes on every attempt and for every endpoint.
pub fn body(kind: &str, created_at: DateTime<Utc>, data: &Value) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: &'a str,
        timestamp: String,
        data: &'a Value,
    }
    let body = Body {
        r#type: kind,
        timestamp: created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        data,
    };
    serde_json::to_string(&body).expect("a notification is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_is_words_with_full_stops_between() {
        for good in ["usage.threshold", "a.b.c", "payment.failed_2"] {
            assert!(is_type(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "usage",
            "usage.",
            "Usage.threshold",
            "a b.c",
            "a.*",
        ] {
            assert!(!is_type(bad), "{bad}");
        }
        assert!(is_type(TEST_PING));
    }

    #[test]
    fn an_endpoint_wants_what_it_named_or_everything() {
        let named = ["usage.threshold".to_owned()];
        for (types, kind, wanted) in [
            (None, "usage.threshold", true),
            (Some(&named[..]), "usage.threshold", true),
            (Some(&named[..]), "usage.thresholds", false),
            (Some(&named[..]), "payment.failed", false),
        ] {
            assert_eq!(is_wanted(types, kind), wanted, "{types:?} {kind}");
        }
    }

    #[test]
    fn a_body_has_type_time_and_data() {
        let at = "2026-11-20T10:00:00.123456Z".parse().unwrap();
        assert_eq!(
            body("usage.threshold", at, &json!({"percent": 80})),
            r#"{"type":"usage.threshold","timestamp":"2026-11-20T10:00:00.123Z","data":{"percent":80}}"#
        );
    }
}
