//! Reads variables one by one, and remembers what was wrong with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;

/// The environment while it is read. A variable that is empty counts as unset.
pub struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    pub faults: Vec<String>,
    /// Every name that was asked for.
    pub names: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub fn new(environment: &'a BTreeMap<String, String>) -> Reader<'a> {
        Reader {
            environment,
            faults: Vec::new(),
            names: BTreeSet::new(),
        }
    }

    pub fn optional(&mut self, name: &'static str) -> Option<&'a str> {
        self.names.insert(name);
        let value = self.environment.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional(name).unwrap_or(default).to_owned()
    }

    /// Comma-separated; blanks around an entry and empty entries do not count.
    pub fn list(&mut self, name: &'static str) -> Vec<&'a str> {
        let entries = self.optional(name).unwrap_or_default().split(',');
        entries
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .collect()
    }

    pub fn secrets(&mut self, name: &'static str) -> Vec<SecretString> {
        self.list(name)
            .into_iter()
            .map(SecretString::from)
            .collect()
    }

    /// A value of the type, for which `is_good` holds; `wanted` says what that is, in the fault.
    pub fn value<T: FromStr + Clone>(
        &mut self,
        name: &'static str,
        default: T,
        wanted: &str,
        is_good: impl Fn(&T) -> bool,
    ) -> T {
        let Some(text) = self.optional(name) else {
            return default;
        };
        match text.parse() {
            Ok(value) if is_good(&value) => value,
            _ => {
                self.fault(name, format!("{text:?} is not {wanted}"));
                default
            }
        }
    }

    pub fn count<T: FromStr + Clone + PartialOrd + From<u8>>(
        &mut self,
        name: &'static str,
        default: T,
    ) -> T {
        self.value(name, default, "a number from 1 on", |count| {
            *count >= T::from(1)
        })
    }

    pub fn values<T: FromStr>(&mut self, name: &'static str, wanted: &str) -> Vec<T> {
        let mut values = Vec::new();
        for entry in self.list(name) {
            match entry.parse() {
                Ok(value) => values.push(value),
                Err(_) => self.fault(name, format!("{entry:?} is not {wanted}")),
            }
        }
        values
    }

    /// `250ms`, `30s`, `10m`, `12h` or `7d`.
    pub fn duration(&mut self, name: &'static str, default: &str) -> Duration {
        let text = self.text(name, default);
        parse_duration(&text).unwrap_or_else(|| {
            self.fault(
                name,
                format!("{text:?} is not a time such as 250ms, 30s, 10m, 12h or 7d"),
            );
            Duration::ZERO
        })
    }

    /// `http(s)://host[:port][/path]`, given back without a slash at the end.
    pub fn base_url(&mut self, name: &'static str, default: &str) -> String {
        let text = self.text(name, default);
        if !is_base_url(&text) {
            // Never the text itself: a URL may carry a password.
            self.fault(
                name,
                "is not a plain http:// or https:// URL (no user, no query)".to_owned(),
            );
        }
        text.trim_end_matches('/').to_owned()
    }

    pub fn fault(&mut self, name: &str, what: String) {
        self.faults.push(format!("{name}: {what}"));
    }
}

pub fn is_base_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.starts_with(['/', ':'])
            && !rest.is_empty()
            && !rest.contains(['@', '?', '#', ' ', '\\', '"'])
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..digits].parse().ok()?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count.checked_mul(unit_ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_its_unit() {
        for (text, milliseconds) in [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("10m", Some(600_000)),
            ("7d", Some(604_800_000)),
        ] {
            assert_eq!(
                parse_duration(text).map(|time| time.as_millis() as u64),
                milliseconds,
                "{text}"
            );
        }
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "1 h",
            "30 s",
            "9w",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_base_url_has_a_scheme_and_a_host_and_nothing_secret() {
        for url in [
            "https://hooks.example.com",
            "http://localhost:3000",
            "https://example.com/base",
        ] {
            assert!(is_base_url(url), "{url}");
        }
        for url in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https://:80",
            "https://a:b@example.com",
            "https://e?x",
        ] {
            assert!(!is_base_url(url), "{url}");
        }
    }
}
