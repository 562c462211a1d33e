//! What Twilio answers about accounts and numbers, and where a number sends what happens to it.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::clients::stripe::joined;

/// Where a recording's end is asked about; below `PUBLIC_BASE_URL`.
pub const RECORDING: &str = "/api/twilio/recording";
/// Where a recording's status is reported; below `PUBLIC_BASE_URL`.
pub const RECORDING_STATUS: &str = "/api/twilio/recording-status";

/// Behind a URL that is told something: without it a report is tried once, and lost when we are restarting.
pub const TOLD_AGAIN: &str = "#rc=5&rp=all";

#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    pub sid: String,
    #[serde(default)]
    pub friendly_name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    #[serde(default, deserialize_with = "secret")]
    pub auth_token: Option<SecretString>,
    #[serde(default)]
    pub owner_account_sid: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct IncomingNumber {
    pub sid: String,
    pub phone_number: String,
    #[serde(default)]
    pub friendly_name: String,
    #[serde(default)]
    pub capabilities: Value,
    #[serde(default)]
    pub voice_url: Option<String>,
    #[serde(default)]
    pub voice_fallback_url: Option<String>,
    #[serde(default)]
    pub sms_url: Option<String>,
    #[serde(default)]
    pub sms_fallback_url: Option<String>,
    #[serde(default)]
    pub status_callback: Option<String>,
    #[serde(default, deserialize_with = "optional_time")]
    pub date_created: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "optional_time")]
    pub date_updated: Option<DateTime<Utc>>,
}

/// Without the number, so that it gets into no log by accident.
impl fmt::Debug for IncomingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncomingNumber({})", self.sid)
    }
}

/// Where a number sends what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    pub voice: String,
    pub voice_fallback: String,
    pub sms: String,
    pub sms_fallback: String,
    pub status: String,
}

impl Urls {
    /// The account's own addresses under our public base.
    pub fn of_account(public_base_url: &str, account_id: &str) -> Urls {
        let url = |path: &[&str]| {
            let path = [&["api", "twilio"], path, &[account_id]].concat();
            joined(public_base_url.trim_end_matches('/'), &path)
        };
        Urls {
            voice: url(&["voice"]),
            voice_fallback: url(&["voice", "fallback"]),
            sms: url(&["sms"]),
            sms_fallback: url(&["sms", "fallback"]),
            status: url(&["status"]),
        }
    }

    /// Whether the number sends everything there.
    pub fn are_set_on(&self, number: &IncomingNumber) -> bool {
        let is = |set: &Option<String>, wanted: &String| set.as_ref() == Some(wanted);
        is(&number.voice_url, &self.voice)
            && is(&number.voice_fallback_url, &self.voice_fallback)
            && is(&number.sms_url, &self.sms)
            && is(&number.sms_fallback_url, &self.sms_fallback)
            && is(&number.status_callback, &self.status)
    }

    /// As the parameters of a request.
    pub(super) fn form(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("VoiceUrl", &self.voice),
            ("VoiceMethod", "POST"),
            ("VoiceFallbackUrl", &self.voice_fallback),
            ("VoiceFallbackMethod", "POST"),
            ("SmsUrl", &self.sms),
            ("SmsMethod", "POST"),
            ("SmsFallbackUrl", &self.sms_fallback),
            ("SmsFallbackMethod", "POST"),
            ("StatusCallback", &self.status),
            ("StatusCallbackMethod", "POST"),
        ]
    }
}

/// An instant as Twilio writes it, in the form of RFC 2822.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc2822(text).ok()?;
    Some(time.with_timezone(&Utc))
}

fn optional_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?
        .as_deref()
        .and_then(time))
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_addresses_of_its_own() {
        let urls = Urls::of_account("https://toll.example/", "a/b c");
        assert_eq!(
            urls.voice,
            "https://toll.example/api/twilio/voice/a%2Fb%20c"
        );
        assert_eq!(
            urls.sms_fallback,
            "https://toll.example/api/twilio/sms/fallback/a%2Fb%20c"
        );
    }
}
