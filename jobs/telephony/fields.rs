//! What a callback of Twilio says, by the names of its parameters.

/// The decoded parameters of a callback. A value counts only in a form that it can have.
pub struct Fields<'a>(pub &'a [(String, String)]);

impl<'a> Fields<'a> {
    /// The first of that name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it says anything.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }

    /// A status or a token: short, without anything that could not be part of one.
    pub fn word(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|value| {
            (1..=80).contains(&value.len())
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
    }

    /// Digits alone.
    pub fn number(&self, name: &str) -> Option<&'a str> {
        self.word(name)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// An id in its exact form: two letters and 32 hexadecimal digits.
    pub fn sid(&self, name: &str, prefixes: &[&str]) -> Option<&'a str> {
        self.get(name).filter(|value| is_sid(value, prefixes))
    }
}

/// Whether a text is one of Twilio's ids, of one of these kinds (`AC`, `CA`, `SM` …).
pub fn is_sid(text: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| {
        text.strip_prefix(prefix).is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    })
}
