//! What requests of usage are made of, checked at the door.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::{
    registry::MetaSchemaRef,
    types::{ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::{Map, Number, Value};
use tollkeeper_jobs::{plans::Feature, usage::MicroUnits};

use super::Shared;
use crate::{
    http::{
        auth::{Caller, Principal},
        problem::Problem,
    },
    usage::{SOURCE_APP, SOURCE_USER},
};

const KEY_LENGTH_MAX: usize = 255;
const APP_NAME_LENGTH_MAX: usize = 100;
/// In bytes of JSON.
const METADATA_MAX: usize = 4096;
/// A use may be reported so late: it is billed on the invoice that comes next.
const LATE_MAX: TimeDelta = TimeDelta::days(80);
/// Clocks differ.
const EARLY_MAX: TimeDelta = TimeDelta::minutes(5);

/// A number, or what an app sends for one: it is refused with a code of its own.
#[derive(Debug)]
pub struct RawQuantity(Value);

impl Type for RawQuantity {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;

    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        f64::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        f64::schema_ref()
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromJSON for RawQuantity {
    fn parse_from_json(value: Option<Value>) -> ParseResult<RawQuantity> {
        Ok(RawQuantity(value.unwrap_or_default()))
    }
}

impl ToJSON for RawQuantity {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

impl Shared {
    /// A feature of the catalogue. 400 when none is named, or one that is not counted here.
    pub(super) fn feature(&self, named: Option<&str>) -> Result<&Feature, Problem> {
        let named = named.map(str::trim).unwrap_or_default();
        if named.is_empty() {
            return Err(Problem::bad_request(
                "MISSING_PARAMETER",
                "feature is required",
            ));
        }
        self.catalogue.feature(named).ok_or_else(|| {
            let shown: String = named.chars().filter(|c| !c.is_control()).take(64).collect();
            Problem::bad_request("INVALID_FEATURE", format!("Invalid feature: {shown}"))
        })
    }

    /// When something was used, as it is told; none: now.
    pub(super) fn occurred_at(&self, told: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
        let Some(told) = told else { return Ok(None) };
        let now = self.clock.now();
        let at = DateTime::parse_from_rfc3339(told).map(|at| at.to_utc());
        let is_fit = |at: &DateTime<Utc>| now - LATE_MAX <= *at && *at <= now + EARLY_MAX;
        at.ok().filter(is_fit).map(Some).ok_or_else(|| {
            Problem::bad_request(
                "INVALID_OCCURRED_AT",
                "occurredAt is an instant (2026-11-20T14:35:00Z), at most 80 days ago and not ahead of now",
            )
        })
    }
}

/// How much of a feature; one where nothing is said.
pub fn quantity(feature: &Feature, told: Option<&RawQuantity>) -> Result<MicroUnits, Problem> {
    let one = Number::from(1);
    let number = match told.map(|told| &told.0) {
        None => &one,
        Some(Value::Number(number)) => number,
        Some(_) => return Err(invalid_quantity("a quantity is a number")),
    };
    MicroUnits::read(number, feature.decimals).map_err(|why| invalid_quantity(&why.to_string()))
}

/// The same, where nothing at all is an answer too.
pub fn quantity_or_zero(feature: &Feature, told: &RawQuantity) -> Result<MicroUnits, Problem> {
    match told.0.as_f64() {
        Some(0.0) => Ok(MicroUnits::ZERO),
        _ => quantity(feature, Some(told)),
    }
}

fn invalid_quantity(why: &str) -> Problem {
    Problem::bad_request("INVALID_QUANTITY", format!("Invalid quantity: {why}"))
}

/// The one key that header and body name.
pub fn idempotency_key(
    header: Option<String>,
    body: Option<String>,
) -> Result<Option<String>, Problem> {
    if let (Some(header), Some(body)) = (&header, &body)
        && header != body
    {
        return Err(Problem::new(
            poem::http::StatusCode::CONFLICT,
            "IDEMPOTENCY_KEY_CONFLICT",
            "The header and the body name two idempotency keys",
        ));
    }
    let key = header.or(body);
    check_idempotency_key(key.as_deref())?;
    Ok(key)
}

/// Whether it may be a key, if there is one.
pub fn check_idempotency_key(key: Option<&str>) -> Result<(), Problem> {
    match key {
        Some(text) if !is_key(text) => Err(Problem::bad_request(
            "INVALID_IDEMPOTENCY_KEY",
            "An idempotency key has 1 to 255 printable characters",
        )),
        _ => Ok(()),
    }
}

/// Who says so: an app, or the user with their token.
pub fn source(caller: &Caller) -> &'static str {
    match caller.is_service() {
        true => SOURCE_APP,
        false => SOURCE_USER,
    }
}

/// A key among those of its asker: two apps, and the user themselves, may come to use the same one. No key has a
/// control character of its own.
pub fn namespaced(caller: &Caller, key: &str) -> String {
    match caller.principal() {
        Principal::Service { app, .. } => format!("{app}\u{1f}{key}"),
        Principal::User { .. } => key.to_owned(),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= KEY_LENGTH_MAX
        && !text.chars().any(char::is_control)
}

pub fn key_reused() -> Problem {
    Problem::new(
        poem::http::StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
        "This idempotency key stands for another request: use a new one",
    )
}

pub fn app_name(told: Option<String>) -> Result<Option<String>, Problem> {
    let is_fit = |name: &String| {
        name.chars().count() <= APP_NAME_LENGTH_MAX && !name.chars().any(char::is_control)
    };
    match told.filter(|name| !name.is_empty()) {
        Some(name) if !is_fit(&name) => Err(Problem::bad_request(
            "INVALID_APP_NAME",
            "appName has at most 100 printable characters",
        )),
        name => Ok(name),
    }
}

/// What an app adds to a use: kept as it is, never interpreted.
pub fn metadata(told: Option<Map<String, Value>>) -> Result<Option<Value>, Problem> {
    let Some(told) = told.filter(|told| !told.is_empty()) else {
        return Ok(None);
    };
    let told = Value::Object(told);
    let text = told.to_string();
    // The one character that JSON may hold and Postgres may not.
    if text.len() > METADATA_MAX || text.contains("\\u0000") {
        return Err(Problem::bad_request(
            "INVALID_METADATA",
            "metadata is an object of at most 4096 bytes, without a NUL character",
        ));
    }
    Ok(Some(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_body_name_one_key() {
        let key = |header: Option<&str>, body: Option<&str>| {
            idempotency_key(header.map(str::to_owned), body.map(str::to_owned)).map_err(|p| p.code)
        };
        assert_eq!(key(None, None), Ok(None));
        assert_eq!(key(Some("a"), None), Ok(Some("a".to_owned())));
        assert_eq!(key(Some("a"), Some("a")), Ok(Some("a".to_owned())));
        assert_eq!(key(Some("a"), Some("b")), Err("IDEMPOTENCY_KEY_CONFLICT"));
        for bad in ["", "a\nb", &"x".repeat(256)] {
            assert_eq!(key(None, Some(bad)), Err("INVALID_IDEMPOTENCY_KEY"));
        }
    }

    #[test]
    fn metadata_is_small_and_fits_into_postgres() {
        let metadata = |value: Value| metadata(value.as_object().cloned()).map_err(|p| p.code);
        assert_eq!(metadata(serde_json::json!({})), Ok(None));
        assert!(metadata(serde_json::json!({ "a": "b" })).is_ok());
        for bad in ["x".repeat(4096), "a\0b".to_owned()] {
            assert_eq!(
                metadata(serde_json::json!({ "a": bad })),
                Err("INVALID_METADATA")
            );
        }
    }
}
