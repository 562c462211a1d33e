//! Calls, runs and numbers in words.

use super::paper::Tone;
use crate::{
    queue::look::RunRow,
    sandbox::{Call, Provider},
};

/// What a call asked for, as far as its path tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    UndeliveredEvents,
    /// Any other look at Stripe.
    Stripe,
    NewSubaccount,
    SubaccountOfThatName,
    SubaccountStatus,
    OnSale,
    Purchase,
    OwnedAlready,
    Return,
    /// Any other call to Twilio.
    Twilio,
    Transcript,
    Analysis,
}

impl Asked {
    pub fn by(call: &Call) -> Asked {
        let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        match (call.provider, call.method.as_str(), segments.as_slice()) {
            (Provider::Stripe, "GET", [_, "events"]) => Asked::UndeliveredEvents,
            (Provider::Stripe, ..) => Asked::Stripe,
            (Provider::Speech, _, [.., "transcriptions"]) => Asked::Transcript,
            (Provider::Speech, ..) => Asked::Analysis,
            (_, "POST", [_, "Accounts.json"]) => Asked::NewSubaccount,
            (_, "GET", [_, "Accounts.json"]) => Asked::SubaccountOfThatName,
            (_, "POST", [_, "Accounts", _]) => Asked::SubaccountStatus,
            (_, "GET", [_, "Accounts", _, "AvailablePhoneNumbers", ..]) => Asked::OnSale,
            (_, "POST", [_, "Accounts", _, "IncomingPhoneNumbers.json"]) => Asked::Purchase,
            (_, "GET", [_, "Accounts", _, "IncomingPhoneNumbers.json"]) => Asked::OwnedAlready,
            (_, "DELETE", [_, "Accounts", _, "IncomingPhoneNumbers", _]) => Asked::Return,
            _ => Asked::Twilio,
        }
    }

    pub fn of(self) -> &'static str {
        match self {
            Asked::UndeliveredEvents | Asked::Stripe => "stripe",
            Asked::Transcript | Asked::Analysis => "speech",
            _ => "twilio",
        }
    }

    /// What is looked up only to be sure is worth a line only after something went wrong.
    pub fn is_told(self, is_after_trouble: bool) -> bool {
        match self {
            Asked::Stripe | Asked::Twilio | Asked::UndeliveredEvents => false,
            Asked::SubaccountOfThatName | Asked::OwnedAlready => is_after_trouble,
            _ => true,
        }
    }

    fn question(self) -> &'static str {
        match self {
            Asked::UndeliveredEvents => "what could you not deliver?",
            Asked::Stripe => "what is so now?",
            Asked::NewSubaccount => "make a subaccount",
            Asked::SubaccountOfThatName => "is there such a subaccount already?",
            Asked::SubaccountStatus => "the subaccount shall be ",
            Asked::OnSale => "which numbers are on sale?",
            Asked::Purchase => "sell us ",
            Asked::OwnedAlready => "is that very number ours already?",
            Asked::Return => "take the number back",
            Asked::Twilio => "a look",
            Asked::Transcript => "what is said here?",
            Asked::Analysis => "what does it come to?",
        }
    }

    fn answer(self) -> &'static str {
        match self {
            Asked::NewSubaccount => "made",
            Asked::Purchase => "sold",
            Asked::Return => "taken back",
            Asked::SubaccountStatus => "done",
            Asked::SubaccountOfThatName | Asked::OwnedAlready => "answered: we take what is there",
            _ => "answered",
        }
    }
}

/// What was asked, and what came back. `subject`: of what the path does not tell.
pub fn call(call: &Call, asked: Asked, subject: &str) -> (String, Tone) {
    let question = format!("{}{subject}", asked.question());
    match call.fault {
        Some(fault) => (format!("{question:35} ✗ {}", trouble(fault)), Tone::Trouble),
        None => (format!("{question:35} {}", asked.answer()), Tone::Plain),
    }
}

fn trouble(fault: &str) -> &str {
    match fault {
        "too many requests" => "429, too busy; nothing is done",
        "error after the effect" => "500, but it is made: we cannot know",
        "cut after the effect" => "sold, and the line breaks: we cannot know",
        other => other,
    }
}

/// What went wrong, for a list.
pub fn trouble_in_short(fault: &str) -> &str {
    match fault {
        "too many requests" => "429",
        "error before the effect" => "500, not done",
        "error after the effect" => "500, done",
        "cut before the effect" => "cut off, not done",
        "cut after the effect" => "cut off, done",
        "late execution" => "cut off, done later",
        "latency" => "slow",
        other => other,
    }
}

/// How a run ended. `before`: how the job's last run did.
pub fn run(run: &RunRow, before: Option<&str>) -> (String, Tone) {
    let why = run.error.as_deref().unwrap_or_default();
    let (ended, tone) = match run.outcome.as_str() {
        "done" => (meaning(&run.kind).to_owned(), Tone::Plain),
        "skipped" if run.kind == "sweep_provider_resources" => (why.to_owned(), Tone::Plain),
        "skipped" => (format!("nothing to do: {why}"), Tone::Quiet),
        "later" | "retry" => (format!("again in a moment: {why}"), Tone::Trouble),
        other => (format!("{other}: {why}"), Tone::Trouble),
    };
    let again = match before {
        None => String::new(),
        Some("done" | "skipped") => "asked again meanwhile: ".to_owned(),
        Some(_) => format!("run {}: ", run.attempt),
    };
    (format!("{:24} {again}{ended}", run.kind), tone)
}

/// What is so after a job is done.
fn meaning(kind: &str) -> &str {
    match kind {
        "sync_subscription" => "what Stripe says now is ours",
        "provision_subaccount" => "there is a subaccount",
        "provision_number" => "there is a number, and it is in use",
        "suspend_telephony" => "the number is silent",
        "reactivate_telephony" => "telephony is wanted again",
        "release_number" => "the number is returned",
        "poll_stripe_events" => "what was lost is stored",
        "record_invoice" => "what Stripe says of the invoice is ours",
        "open_period" => "the billing period is known",
        "send_message" => "Twilio has it",
        "handle_twilio_callback" => "what Twilio told is written down",
        "reconcile_phone_log" => "what Twilio lists is written down",
        "fetch_recording" => "the recording is there",
        "transcribe_recording" => "what was said is written down, and counted",
        "analyse_transcript" => "what it comes to is written down",
        "delete_recording" => "Twilio holds the recording no more",
        "sweep_provider_resources" => "Twilio holds what we hold; what earlier runs held is gone",
        _ => "done",
    }
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

/// What is said or written by TwiML.
pub fn spoken(twiml: &str) -> String {
    let spoken = ["<Say", "<Message"].iter().find_map(|verb| {
        let (_, rest) = twiml.split_once(verb)?;
        let (_, text) = rest.split_once('>')?;
        text.split('<').next()
    });
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let text = spoken.unwrap_or_default().to_owned();
    plain
        .iter()
        .fold(text, |text, (entity, plain)| text.replace(entity, plain))
}

/// `$40`
pub fn dollars(cents: i64) -> String {
    format!("${}", cents / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spoken_is_told_without_its_markup() {
        for (twiml, text) in [
            (
                "<Response><Say voice=\"alice\">Hello!</Say><Hangup/></Response>",
                "Hello!",
            ),
            (
                "<Response><Message>We&apos;ll be &lt;there&gt;</Message></Response>",
                "We'll be <there>",
            ),
            ("<Response></Response>", ""),
            ("", ""),
        ] {
            assert_eq!(spoken(twiml), text);
        }
    }

    #[test]
    fn a_number_is_written_to_be_read() {
        assert_eq!(number("+14155550123"), "+1 415 555 0123");
        assert_eq!(number("+442071838750"), "+442071838750");
    }
}
