//! What becomes of a call, and what a message is answered, by the settings of the number.

use super::{
    countries::is_allowed_country,
    e164::E164,
    settings::{Forwarding, Settings, Text},
};

/// What the service itself says and allows, where no settings say otherwise.
#[derive(Debug, Clone, Copy)]
pub struct House<'a> {
    pub greeting: &'a str,
    /// Empty: messages are not answered.
    pub sms_reply: &'a str,
    /// Where calls may be put through to, ISO 3166.
    pub countries: &'a [String],
}

/// A call, as far as it decides.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// As the provider writes it: a caller may have no number.
    pub from: Option<&'a str>,
    pub to: Option<&'a str>,
    /// Of the numbers to forward to, those that this service answers itself. Two such could forward to each other for
    /// ever, and every turn is billed: none is dialled.
    pub ours: &'a [String],
    /// So many minutes of another leg there is money for. None: as many as it takes.
    pub minutes_left: Option<u32>,
}

/// What the line does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Refused before it is answered, and before it costs anything.
    Reject,
    /// Put through; what comes after that is asked again.
    Dial {
        number: &'a E164,
        rings_for: u16,
        /// It is cut off then. None: when the provider does.
        seconds_max: Option<u32>,
    },
    /// Say this, and record for so many seconds at most.
    Record {
        text: &'a str,
        seconds_max: u16,
    },
    /// Say this and hang up.
    Say(&'a str),
    Hangup,
}

/// What is heard while the other phone rings for the first time.
pub const HOLD: &str = "Please hold while we connect your call.";
const NOT_COMPLETED: &str = "The call could not be completed. Goodbye.";
const NOT_TAKEN: &str =
    "We're sorry, but we cannot take your call right now. Please try again later.";
const VOICEMAIL: &str =
    "We cannot take your call right now. Please leave a message after the beep.";
/// As the replaced services had it, for a greeted call and for a voicemail.
const CALL_SECONDS_MAX: u16 = 3600;
const VOICEMAIL_SECONDS_MAX: u16 = 120;
/// No call that is put through lasts longer at Twilio.
const LEG_SECONDS_MAX: u32 = 4 * 60 * 60;

/// A call comes in.
pub fn answer<'a>(settings: &'a Settings, call: &Call<'_>, house: &House<'a>) -> Next<'a> {
    if settings.reject_calls == Some(true) {
        return Next::Reject;
    }
    if let Some(forwarding) = is_on(settings.forwarding.as_ref()) {
        let target = target(forwarding, call, house);
        return target.unwrap_or_else(|| missed(settings));
    }
    let text = greeting(settings, house);
    match (voicemail(settings), is_recorded(settings)) {
        (Some(voicemail), _) => voicemail,
        (None, true) => Next::Record {
            text,
            seconds_max: CALL_SECONDS_MAX,
        },
        (None, false) => Next::Say(text),
    }
}

/// A call was put through, and that is over: as Twilio says it in `DialCallStatus`.
pub fn after_dial<'a>(settings: &'a Settings, outcome: &str) -> Next<'a> {
    let was_taken = matches!(outcome, "completed" | "answered");
    // Without a word of who was called, as ever: such a call was put through by somebody else.
    let is_ours = settings.forwarding.is_some() || settings.voicemail.is_some();
    match was_taken || !is_ours {
        true => Next::Hangup,
        false => missed(settings),
    }
}

/// The same settings with nothing left out: what a caller and a sender meet, in words.
pub fn spelled_out(settings: Settings, house: &House<'_>) -> Settings {
    let text = |text: Option<Text>, is_on: bool, own: &str| {
        let enabled = text.as_ref().map_or(is_on, |text| text.enabled);
        let text = text.and_then(|text| text.text);
        let text = text.or_else(|| (!own.is_empty()).then(|| own.to_owned()));
        Some(Text { enabled, text })
    };
    let greeting = greeting(&settings, house).to_owned();
    let forwarding = settings.forwarding.unwrap_or(Forwarding {
        enabled: false,
        number: None,
        timeout_seconds: None,
    });
    Settings {
        greeting: Some(greeting),
        recording: Some(settings.recording != Some(false)),
        voicemail: text(settings.voicemail, false, VOICEMAIL),
        auto_response: text(
            settings.auto_response,
            !house.sms_reply.is_empty(),
            house.sms_reply,
        ),
        reject_calls: Some(settings.reject_calls == Some(true)),
        forwarding: Some(Forwarding {
            timeout_seconds: Some(forwarding.rings_for()),
            ..forwarding
        }),
    }
}

/// What a message is answered. None: nothing.
pub fn reply<'a>(settings: &'a Settings, house: &House<'a>) -> Option<&'a str> {
    match settings.auto_response {
        Some(_) => own_reply(settings, house),
        None => unless_empty(house.sms_reply),
    }
}

/// The same where the service says nothing by itself: only who switched the reply on has one.
pub fn own_reply<'a>(settings: &'a Settings, house: &House<'a>) -> Option<&'a str> {
    let on = settings.auto_response.as_ref().filter(|one| one.enabled)?;
    unless_empty(on.text.as_deref().unwrap_or(house.sms_reply))
}

fn unless_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn target<'a>(forwarding: &'a Forwarding, call: &Call<'_>, house: &House<'_>) -> Option<Next<'a>> {
    let number = forwarding.number.as_ref()?;
    let is = |other: Option<&str>| {
        other.is_some_and(|other| E164::as_written(other).as_ref() == Ok(number))
    };
    let is_ours = call.ours.iter().any(|ours| ours == number.as_str());
    let comes_back = is_ours || is(call.from) || is(call.to);
    // The other leg is paid for like any call that an app asks for.
    let is_paid_for = call.minutes_left != Some(0);
    let is_allowed = !comes_back && is_paid_for && is_allowed_country(number, house.countries);
    let seconds_left = call.minutes_left.map(|minutes| minutes.saturating_mul(60));
    is_allowed.then(|| Next::Dial {
        number,
        rings_for: forwarding.rings_for(),
        seconds_max: seconds_left.filter(|seconds| *seconds < LEG_SECONDS_MAX),
    })
}

fn greeting<'a>(settings: &'a Settings, house: &House<'a>) -> &'a str {
    // The service's own words are that the call is recorded.
    let own = match is_recorded(settings) {
        true => house.greeting,
        false => NOT_TAKEN,
    };
    settings.greeting.as_deref().unwrap_or(own)
}

/// Nobody was reached.
fn missed(settings: &Settings) -> Next<'_> {
    voicemail(settings).unwrap_or(Next::Say(NOT_COMPLETED))
}

fn voicemail(settings: &Settings) -> Option<Next<'_>> {
    let voicemail = settings.voicemail.as_ref().filter(|one| one.enabled)?;
    is_recorded(settings).then(|| Next::Record {
        text: voicemail.text.as_deref().unwrap_or(VOICEMAIL),
        seconds_max: VOICEMAIL_SECONDS_MAX,
    })
}

fn is_recorded(settings: &Settings) -> bool {
    settings.recording != Some(false)
}

fn is_on(forwarding: Option<&Forwarding>) -> Option<&Forwarding> {
    forwarding.filter(|forwarding| forwarding.enabled)
}

#[cfg(test)]
mod tests;
