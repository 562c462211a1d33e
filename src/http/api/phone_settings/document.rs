//! Settings as they are sent and shown.

use poem_openapi::Object;
use tollkeeper_jobs::telephony::{
    e164::{E164, NotE164},
    settings::{Forwarding, Settings, Text},
};

use crate::http::problem::Problem;

/// What is left out is as it is one step wider: of a number as its account has it, of an account as the service has it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SettingsDocument {
    /// What a caller hears first, 1000 characters at most.
    greeting: Option<String>,
    /// Off: nobody is recorded, and nobody can leave a message.
    recording: Option<bool>,
    /// A caller hears its text and may speak for two minutes: at once, or when a forwarded call was not taken.
    voicemail: Option<Said>,
    forwarding: Option<Forwarded>,
    /// The reply to a message, 1600 characters at most. Who wants no messages is never answered, nor is a machine.
    auto_response: Option<Said>,
    /// Calls are refused before they are answered.
    reject_calls: Option<bool>,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Said {
    enabled: bool,
    /// Left out: the service's own words.
    text: Option<String>,
}

/// Calls are put through. The other leg is a call of its own: its minutes count too.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Forwarded {
    enabled: bool,
    /// In any usual form. Not dialled for the one who has it, nor if it is a number that this service answers itself.
    number: Option<String>,
    /// For how many seconds it rings there, 5 to 60; 30 when left out.
    timeout: Option<u16>,
}

impl TryFrom<SettingsDocument> for Settings {
    type Error = Problem;

    fn try_from(document: SettingsDocument) -> Result<Settings, Problem> {
        let text = |said: Option<Said>| said.map(|Said { enabled, text }| Text { enabled, text });
        Ok(Settings {
            greeting: document.greeting,
            recording: document.recording,
            voicemail: text(document.voicemail),
            forwarding: document.forwarding.map(Forwarding::try_from).transpose()?,
            auto_response: text(document.auto_response),
            reject_calls: document.reject_calls,
        })
    }
}

impl TryFrom<Forwarded> for Forwarding {
    type Error = Problem;

    fn try_from(forwarded: Forwarded) -> Result<Forwarding, Problem> {
        let number = forwarded.number.as_deref().map(E164::as_written);
        let number = number.transpose().map_err(|error: NotE164| {
            let message = format!("forwarding.number is {error}");
            Problem::bad_request("INVALID_FORWARDING_NUMBER", message)
        })?;
        Ok(Forwarding {
            enabled: forwarded.enabled,
            number,
            timeout_seconds: forwarded.timeout,
        })
    }
}

impl From<Settings> for SettingsDocument {
    fn from(settings: Settings) -> SettingsDocument {
        let said = |text: Option<Text>| text.map(|Text { enabled, text }| Said { enabled, text });
        SettingsDocument {
            greeting: settings.greeting,
            recording: settings.recording,
            voicemail: said(settings.voicemail),
            forwarding: settings.forwarding.map(|forwarding| Forwarded {
                enabled: forwarding.enabled,
                number: forwarding.number.map(String::from),
                timeout: forwarding.timeout_seconds,
            }),
            auto_response: said(settings.auto_response),
            reject_calls: settings.reject_calls,
        }
    }
}
