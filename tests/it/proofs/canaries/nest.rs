//! The canaries, and every disguise in which one is still itself.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// What each canary stands for, its text, and the forms it is searched in.
#[derive(Default)]
pub struct Nest(Vec<(String, String, Vec<String>)>);

impl Nest {
    /// From now on it is searched for; the text again, to be sent somewhere.
    pub fn plant(&mut self, what: &str, text: &str) -> String {
        assert!(text.len() >= 8, "{what}: {text} would be found by chance");
        // The same number is written with and without its plus and its country.
        let bare = text.strip_prefix("+1").unwrap_or(text);
        let lower = bare.to_lowercase();
        let encoded: String = form_urlencoded::byte_serialize(bare.as_bytes()).collect();
        let mut forms = vec![
            lower.clone(),
            encoded.to_lowercase(),
            hex::encode(bare),
            // The ends depend on what stands beside it.
            BASE64_STANDARD
                .encode(bare)
                .trim_end_matches('=')
                .to_lowercase()[..10]
                .to_owned(),
        ];
        if lower.len() == 10 && lower.bytes().all(|byte| byte.is_ascii_digit()) {
            let (area, rest) = lower.split_at(3);
            let (exchange, line) = rest.split_at(3);
            forms.push(format!("({area}) {exchange}-{line}"));
            forms.push(format!("{area} {exchange} {line}"));
            forms.push(format!("{area}-{exchange}-{line}"));
        }
        self.0.push((what.to_owned(), text.to_owned(), forms));
        text.to_owned()
    }

    /// The text of a canary.
    pub fn of(&self, what: &str) -> &str {
        let found = self.0.iter().find(|(name, ..)| name == what);
        &found.unwrap_or_else(|| panic!("no canary is {what}")).1
    }

    /// The canaries in a text.
    pub fn in_text(&self, text: &str) -> Vec<&str> {
        let text = text.to_lowercase();
        let is_in = |forms: &[String]| forms.iter().any(|form| text.contains(form));
        let found = self.0.iter().filter(|(_, _, forms)| is_in(forms));
        found.map(|(what, ..)| what.as_str()).collect()
    }

    /// The canaries in a column, however deep. The names of fields count as well.
    pub fn in_value(&self, value: &Value) -> Vec<&str> {
        match value {
            Value::String(text) => self.in_text(text),
            other => self.in_text(&other.to_string()),
        }
    }
}

#[test]
fn a_canary_is_found_in_each_of_its_disguises() {
    let mut nest = Nest::default();
    nest.plant("a number", "+14155550123");
    for text in [
        "to +14155550123",
        "To=%2B14155550123",
        "\\x2b3134313535353530313233",
        "call (415) 555-0123",
        "415-555-0123",
    ] {
        assert_eq!(nest.in_text(text), ["a number"], "{text}");
    }
    assert!(nest.in_text("+*** and 4155550124").is_empty());
}
