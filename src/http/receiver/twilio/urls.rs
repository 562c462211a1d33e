//! Every URL under which Twilio calls us.
//!
//! Numbers keep the URLs they were given, so those of the services that this one replaces stay.

use tollkeeper_jobs::telephony::callback::Address;

/// Each path, in the form of the router, and what is asked there.
pub fn all() -> impl Iterator<Item = (String, Address)> {
    let prefixed = PREFIXES.into_iter().flat_map(|prefix| {
        PATHS
            .into_iter()
            .map(move |(path, address)| (prefix.to_owned() + path, address))
    });
    let bare = BARE_PATHS
        .into_iter()
        .map(|(path, address)| (path.to_owned(), address));
    prefixed.chain(bare)
}

/// Where Twilio tells of a message, and apps ask for the messages there are.
pub const OF_APPS_TOO: &str = "/api/twilio/sms";

/// Every prefix under which a URL of the table is, or was, handed out.
const PREFIXES: [&str; 4] = [
    "/api/twilio",
    "/twilio",
    "/webhooks/twilio",
    "/api/phone/webhooks/twilio",
];

/// Under each prefix.
const PATHS: [(&str, Address); 22] = [
    ("/voice", Address::Call),
    ("/voice/:user_id", Address::Call),
    ("/voice/fallback/:user_id", Address::CallFallback),
    ("/voice-fallback", Address::CallFallback),
    ("/voice-webhook", Address::Call),
    ("/sms", Address::Message),
    ("/sms/:user_id", Address::Message),
    ("/sms/fallback/:user_id", Address::Message),
    ("/sms-webhook", Address::QuietMessage),
    ("/recording", Address::Action),
    ("/record-done", Address::Action),
    ("/voicemail-recording", Address::Action),
    ("/dial-done", Address::Action),
    ("/recording-status", Address::Report),
    ("/status", Address::Report),
    ("/status/:user_id", Address::Report),
    ("/call-status", Address::Report),
    ("/sms-status", Address::Report),
    ("/status-callback", Address::Report),
    ("/number-status", Address::Report),
    ("/usage-trigger", Address::Report),
    ("/events", Address::Report),
];

/// Without a prefix.
const BARE_PATHS: [(&str, Address); 5] = [
    ("/voice/inbound", Address::Call),
    ("/voice/:user_id", Address::Call),
    ("/sms/inbound", Address::QuietMessage),
    ("/sms/:user_id", Address::QuietMessage),
    ("/phone/status/:user_id", Address::Report),
];
