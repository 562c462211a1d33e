//! The id of an account as it comes over the wire.

use std::fmt;

const LENGTH_MAX: usize = 200;

/// An app's own user id: any text of 1 to 200 printable characters, never interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountId(String);

impl AccountId {
    /// The text as it is: trimming would make two ids one. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<AccountId, &'static str> {
        if text.is_empty() {
            return Err("a user id is not empty");
        }
        if text.trim() != text {
            return Err("a user id has no space around it");
        }
        if text.chars().count() > LENGTH_MAX {
            return Err("a user id has at most 200 characters");
        }
        if text.chars().any(char::is_control) {
            return Err("a user id has no control characters");
        }
        Ok(AccountId(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_printable_text_is_a_user_id() {
        for good in [
            "user-123",
            "test-user-1700000000",
            "a b",
            "Jürgen",
            &"x".repeat(200),
        ] {
            assert_eq!(AccountId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "  ", "a ", " a", "a\0b", "a\nb", &"x".repeat(201)] {
            assert!(AccountId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
