//! What an account, or one number of it, wants to become of calls and messages: read, checked, and laid over each
//! other. A number's settings win over the account's, and those over the service's own.

use serde::{Deserialize, Serialize};

use super::{countries::is_allowed_country, e164::E164};

/// Stored as JSON. What is there must always parse, and what a later version adds to it must not keep an older one from
/// reading it. What is left out is as it is one step wider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What a caller hears first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
    /// Whether what a caller says is recorded. Without it nobody is recorded, voicemail or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voicemail: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<Forwarding>,
    /// The reply to a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_response: Option<Text>,
    /// Calls are refused before they are answered, and cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_calls: Option<bool>,
}

/// Something that is said, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub enabled: bool,
    /// None: the service's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Calls are put through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    pub enabled: bool,
    /// None only where it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<E164>,
    /// For how long it rings there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u16>,
}

/// What is said to a caller fits into a minute or so.
pub const SPOKEN_MAX: usize = 1000;
/// Twilio takes no longer message.
pub const WRITTEN_MAX: usize = 1600;
/// Below it nobody gets to the phone; above it nobody waits.
const RINGS_FOR: std::ops::RangeInclusive<u16> = 5..=60;
/// As long as the replaced service let it ring.
const RINGS_FOR_DEFAULT: u16 = 30;

/// What is wrong with settings, for a program and for a person. It repeats nothing of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// UPPER_SNAKE; never changes.
    pub code: &'static str,
    pub message: String,
}

impl Settings {
    /// What counts where these are narrower than the others. Each setting wins as a whole: a number that is not
    /// forwarded is not forwarded, whatever number the account has.
    pub fn over(self, wider: Settings) -> Settings {
        Settings {
            greeting: self.greeting.or(wider.greeting),
            recording: self.recording.or(wider.recording),
            voicemail: self.voicemail.or(wider.voicemail),
            forwarding: self.forwarding.or(wider.forwarding),
            auto_response: self.auto_response.or(wider.auto_response),
            reject_calls: self.reject_calls.or(wider.reject_calls),
        }
    }

    /// Whether they may be stored for an account that holds these numbers. Countries are of ISO 3166.
    pub fn check(&self, own: &[String], countries: &[String]) -> Result<(), Fault> {
        let text = |text: &Option<Text>| text.as_ref().and_then(|one| one.text.clone());
        for (code, name, text, max) in [
            (
                "INVALID_GREETING",
                "greeting",
                self.greeting.clone(),
                SPOKEN_MAX,
            ),
            (
                "INVALID_VOICEMAIL_TEXT",
                "voicemail.text",
                text(&self.voicemail),
                SPOKEN_MAX,
            ),
            (
                "INVALID_AUTO_RESPONSE_TEXT",
                "autoResponse.text",
                text(&self.auto_response),
                WRITTEN_MAX,
            ),
        ] {
            if let Some(what) = text.and_then(|text| fault_of(&text, max)) {
                return Err(fault(code, &format!("{name} {what}")));
            }
        }
        let is_voicemail_on = self.voicemail.as_ref().is_some_and(|one| one.enabled);
        if is_voicemail_on && self.recording == Some(false) {
            return Err(fault(
                "VOICEMAIL_NEEDS_RECORDING",
                "voicemail is a recording: leave recording on, or switch voicemail off",
            ));
        }
        let forwarding = self.forwarding.as_ref();
        forwarding.map_or(Ok(()), |forwarding| forwarding.check(own, countries))
    }
}

impl Forwarding {
    fn check(&self, own: &[String], countries: &[String]) -> Result<(), Fault> {
        if !RINGS_FOR.contains(&self.rings_for()) {
            return Err(fault(
                "INVALID_FORWARDING_TIMEOUT",
                "forwarding.timeout is between 5 and 60 seconds",
            ));
        }
        let Some(number) = &self.number else {
            return match self.enabled {
                true => Err(fault(
                    "FORWARDING_NUMBER_REQUIRED",
                    "forwarding.number says where calls are put through to",
                )),
                false => Ok(()),
            };
        };
        if own.iter().any(|own| own == number.as_str()) {
            return Err(fault(
                "FORWARDING_LOOP",
                "forwarding.number is one of the user's own numbers: a call would come back for ever",
            ));
        }
        if !is_allowed_country(number, countries) {
            return Err(fault(
                "COUNTRY_NOT_ALLOWED",
                "forwarding.number lies in a country that is not called from here",
            ));
        }
        Ok(())
    }

    /// For how many seconds it rings there.
    pub fn rings_for(&self) -> u16 {
        self.timeout_seconds.unwrap_or(RINGS_FOR_DEFAULT)
    }
}

fn fault(code: &'static str, message: &str) -> Fault {
    Fault {
        code,
        message: message.to_owned(),
    }
}

/// What is wrong with a text of at most so many characters.
fn fault_of(text: &str, max: usize) -> Option<String> {
    // No XML carries them, and Postgres keeps no zero.
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if text.trim().is_empty() {
        return Some("is empty: leave it out for the service's own words".to_owned());
    }
    if text.chars().count() > max {
        return Some(format!("has at most {max} characters"));
    }
    (!text.chars().all(is_plain)).then(|| "has no control characters".to_owned())
}

#[cfg(test)]
mod tests;
