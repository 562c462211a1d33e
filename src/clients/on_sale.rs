//! Numbers on sale, whoever sells them. Looking at them reserves nothing.

use serde::Deserialize;
use serde_json::Value;

/// A kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberKind {
    #[default]
    Local,
    TollFree,
    Mobile,
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// ISO 3166.
    pub country: &'a str,
    pub kind: NumberKind,
    pub area_code: Option<&'a str>,
    /// Digits and letters somewhere in the number, `*` for any one of them.
    pub contains: Option<&'a str>,
    /// So many at most.
    pub count: u16,
}

/// A number that can be bought at this moment.
#[derive(Clone, Deserialize)]
pub struct OnSale {
    /// E.164.
    pub phone_number: String,
    /// As people of the country write it.
    #[serde(default)]
    pub friendly_name: Option<String>,
    #[serde(default)]
    pub locality: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub postal_code: Option<String>,
    #[serde(default)]
    pub capabilities: Value,
}
