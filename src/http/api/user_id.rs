//! A user's id in a JSON body.

use std::borrow::Cow;

use poem_openapi::{
    registry::MetaSchemaRef,
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// A text, or a whole number as its digits. Any other number may have lost some of them on its way,
/// and would be somebody else's id.
#[derive(Debug)]
pub struct UserId(pub String);

impl Type for UserId {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;

    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        String::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        String::schema_ref()
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromJSON for UserId {
    fn parse_from_json(value: Option<Value>) -> ParseResult<UserId> {
        match value.unwrap_or_default() {
            Value::String(text) => Ok(UserId(text)),
            Value::Number(number) if !number.is_f64() => Ok(UserId(number.to_string())),
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl ToJSON for UserId {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_lost_digits_is_nobodys_id() {
        for (json, expected) in [
            (r#""ann""#, Some("ann")),
            ("42", Some("42")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("18446744073709551616", None),
            ("1.0", None),
            ("1e3", None),
            ("true", None),
            ("null", None),
            (r#"["ann"]"#, None),
        ] {
            let parsed = UserId::parse_from_json(serde_json::from_str(json).ok()).ok();
            assert_eq!(parsed.as_ref().map(|id| id.0.as_str()), expected, "{json}");
        }
    }
}
