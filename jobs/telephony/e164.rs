//! A phone number in the one form that is stored: `+`, country code, at most 15 digits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

impl E164 {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl E164 {
    /// A number as people and clients write it: with spaces, dashes, dots and brackets, ten digits of North America
    /// without a country code, and a `+` that a query string made a space (contract 1.2, B54).
    pub fn as_written(text: &str) -> Result<E164, NotE164> {
        let has_plus = text.starts_with(['+', ' ']);
        let bare: String = text
            .chars()
            .filter(|one| !matches!(one, ' ' | '-' | '.' | '(' | ')' | '+'))
            .collect();
        match (has_plus, bare.len()) {
            (false, 10) => format!("+1{bare}").parse(),
            (false, 11) if !bare.starts_with('1') => Err(NotE164),
            (true, _) | (false, 11) => format!("+{bare}").parse(),
            _ => Err(NotE164),
        }
    }
}

/// The three digits that a number of North America begins with, after its country code.
pub fn is_area_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Shows no digits, so that a number gets into no log by accident.
impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("+***")
    }
}

impl FromStr for E164 {
    type Err = NotE164;

    fn from_str(text: &str) -> Result<E164, NotE164> {
        let digits = text.strip_prefix('+').ok_or(NotE164)?;
        let is_number = (8..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        is_number.then(|| E164(text.to_owned())).ok_or(NotE164)
    }
}

impl TryFrom<String> for E164 {
    type Error = NotE164;

    fn try_from(text: String) -> Result<E164, NotE164> {
        text.parse()
    }
}

impl From<E164> for String {
    fn from(number: E164) -> String {
        number.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotE164;

impl fmt::Display for NotE164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a phone number of the form +14155550123")
    }
}

impl std::error::Error for NotE164 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_understood_as_people_write_it() {
        for (text, number) in [
            ("+14155550123", Some("+14155550123")),
            (" 14155550123", Some("+14155550123")),
            ("14155550123", Some("+14155550123")),
            ("4155550123", Some("+14155550123")),
            ("(415) 555-0123", Some("+14155550123")),
            ("+49 30 123456", Some("+4930123456")),
            ("24155550123", None),
            ("5550123", None),
            ("+1415555012x", None),
            ("", None),
            ("+", None),
        ] {
            let read = E164::as_written(text).ok();
            assert_eq!(read.as_ref().map(E164::as_str), number, "{text:?}");
        }
    }

    #[test]
    fn only_the_one_form_is_a_number() {
        for (text, is_number) in [
            ("+14155550123", true),
            ("+4930123456", true),
            ("+123456789012345", true),
            ("+1234567890123456", false),
            ("14155550123", false),
            ("+1 415 555 0123", false),
            ("+0415550123", false),
            ("+1415", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<E164>().is_ok(), is_number, "{text}");
        }
        assert_eq!(format!("{:?}", "+14155550123".parse::<E164>()), "Ok(+***)");
    }
}
