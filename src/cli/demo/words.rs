//! Calls, runs and numbers in words.

use super::paper::Tone;
use crate::{
    queue::look::RunRow,
    sandbox::{Call, Effect, Provider},
};

/// What a call asks for. None: a look nobody needs to hear of.
pub fn call(call: &Call, is_after_trouble: bool) -> Option<(&'static str, String, Tone)> {
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let (who, asked) = match (call.provider, call.method.as_str(), segments.as_slice()) {
        (Provider::Twilio, "POST", [_, "Accounts.json"]) => ("twilio", "make a subaccount"),
        (Provider::Twilio, "GET", [_, "Accounts.json"]) if is_after_trouble => {
            ("twilio", "is there such a subaccount already?")
        }
        (Provider::Twilio, "POST", [_, "Accounts", _]) => {
            ("twilio", "suspend or reopen the subaccount")
        }
        (Provider::Twilio, "GET", [_, "Accounts", _, "AvailablePhoneNumbers", ..]) => {
            ("twilio", "which numbers are on sale?")
        }
        (Provider::Twilio, "GET", [_, "Accounts", _, "IncomingPhoneNumbers.json"])
            if is_after_trouble =>
        {
            ("twilio", "do we own that very number already?")
        }
        (Provider::Twilio, "POST", [_, "Accounts", _, "IncomingPhoneNumbers.json"]) => {
            ("twilio", "buy this number")
        }
        (Provider::Twilio, "DELETE", [_, "Accounts", _, "IncomingPhoneNumbers", _]) => {
            ("twilio", "take the number back")
        }
        (Provider::Twilio, ..) => ("twilio", "another look"),
        (Provider::Stripe, "GET", [_, "events"]) => ("stripe", "which events did you not deliver?"),
        (Provider::Stripe, ..) => ("stripe", "what is so now?"),
    };
    let is_dull = matches!(asked, "another look" | "what is so now?");
    match call.fault {
        Some(fault) => Some((who, format!("{asked}  ✗ {}", trouble(fault)), Tone::Trouble)),
        None if is_dull => None,
        None => {
            let done = if call.effect == Effect::Done {
                "done"
            } else {
                "answered"
            };
            Some((who, format!("{asked}  {done}"), Tone::Plain))
        }
    }
}

fn trouble(fault: &str) -> &str {
    match fault {
        "too many requests" => "429, ask later; nothing was done",
        "error before the effect" => "500; nothing was done, but we cannot know that",
        "error after the effect" => "500, although it was done; we cannot know that",
        "cut before the effect" => "the line breaks; nothing was done, but we cannot know that",
        "cut after the effect" => "the line breaks after it was done: we hear no answer",
        other => other,
    }
}

/// How a run ended.
pub fn run(run: &RunRow) -> (String, Tone) {
    let error = run.error.as_deref().unwrap_or_default();
    let (ended, tone) = match run.outcome.as_str() {
        "done" => ("done".to_owned(), Tone::Plain),
        "skipped" => (format!("nothing to do: {error}"), Tone::Quiet),
        "later" => (format!("waits: {error}"), Tone::Quiet),
        "retry" => (format!("tries again: {error}"), Tone::Trouble),
        other => (format!("{other}: {error}"), Tone::Trouble),
    };
    let attempt = if run.attempt > 1 {
        format!("run {}: ", run.attempt)
    } else {
        String::new()
    };
    (format!("{:22} {attempt}{ended}", run.kind), tone)
}

/// `+1 415 555 0123`; anything else as it is.
pub fn number(e164: &str) -> String {
    match e164.strip_prefix("+1") {
        Some(digits) if digits.len() == 10 => {
            format!("+1 {} {} {}", &digits[..3], &digits[3..6], &digits[6..])
        }
        _ => e164.to_owned(),
    }
}

/// `$40`
pub fn dollars(cents: i64) -> String {
    format!("${}", cents / 100)
}

/// `1 webhook`, `2 webhooks`
pub fn count(number: usize, one: &str) -> String {
    let many = if number == 1 { "" } else { "s" };
    format!("{number} {one}{many}")
}
