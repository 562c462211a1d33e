//! What a Twilio callback says, told by its parameters: its kind, the key under which it is stored
//! once, and what it wants to hear.
//!
//! The URL alone does not tell: numbers carry one URL for new calls and for status reports alike. And
//! the signature does not separate names from values, so an id counts only in its own exact form.

use super::{e164::E164, fields::Fields, messages::wish};

/// Which of our URLs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// A number's voice URL.
    Call,
    /// Asked when the voice URL failed.
    CallFallback,
    /// A number's message URL, or its fallback.
    Message,
    /// The same, as it was handed out by services that thanked nobody by themselves.
    QuietMessage,
    /// Asked when a recording or a forwarded call ended: what comes next.
    Action,
    /// Only told; an answer is not listened to.
    Report,
}

/// What the provider waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Greet the caller and record.
    Greeting,
    /// Thank for the recording and hang up.
    Goodbye,
    /// Something of ours failed before: say so and hang up.
    Apology,
    /// A call that was put through is over: what comes next.
    AfterDial,
    /// The configured reply to a message.
    Reply,
    /// The reply to a message where the number's or the account's own settings have one.
    OwnReply,
    /// Instructions are expected, and there are none.
    Silence,
    /// Nothing: the report was received.
    Received,
}

impl Answer {
    /// Whether somebody is on the line and would hear an error.
    pub fn is_heard(self) -> bool {
        matches!(
            self,
            Answer::Greeting | Answer::Goodbye | Answer::Apology | Answer::AfterDial
        )
    }

    /// Whether it depends on what the number's account wants.
    pub fn is_by_settings(self) -> bool {
        matches!(self, Answer::Greeting | Answer::AfterDial) || self.is_reply()
    }

    /// Whether a message is sent, and paid for.
    pub fn is_reply(self) -> bool {
        matches!(self, Answer::Reply | Answer::OwnReply)
    }
}

/// One callback, told from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    pub kind: &'static str,
    /// Made of the provider's own ids, the same for every copy. None: it has no id that we know, and
    /// only its exact bytes tell it apart.
    pub key: Option<String>,
    pub answer: Answer,
}

/// Read a callback from its decoded parameters.
pub fn read(address: Address, params: &[(String, String)]) -> Callback {
    let fields = Fields(params);
    let recording = fields.sid("RecordingSid", &["RE"]);
    if let (Some(recording), Some(status)) = (recording, fields.word("RecordingStatus")) {
        return told("recording_status", format!("{recording}:{status}"));
    }
    if let Some(call) = fields.sid("CallSid", &["CA"]) {
        return of_call(address, &fields, call, recording);
    }
    let message = fields
        .sid("MessageSid", &["SM", "MM"])
        .or_else(|| fields.sid("SmsSid", &["SM", "MM"]));
    if let Some(message) = message {
        return of_message(address, &fields, message);
    }
    if let (Some(trigger), Some(token)) = (
        fields.sid("UsageTriggerSid", &["UT"]),
        fields.word("IdempotencyToken"),
    ) {
        return told("usage_trigger", format!("{trigger}:{token}"));
    }
    Callback {
        kind: "other",
        key: None,
        answer: Answer::Received,
    }
}

fn of_call(address: Address, fields: &Fields<'_>, call: &str, recording: Option<&str>) -> Callback {
    let status = fields.word("CallStatus").unwrap_or("unknown");
    let is_progress = fields.has("CallbackSource") || address == Address::Report;
    if !is_progress && let Some(outcome) = fields.word("DialCallStatus") {
        let leg = fields.sid("DialCallSid", &["CA"]).unwrap_or("none");
        let key = format!("{call}:{leg}:{outcome}");
        return asked("dial_action", key, Answer::AfterDial);
    }
    if !is_progress && let Some(recording) = recording {
        let key = format!("{call}:{recording}");
        return asked("record_action", key, Answer::Goodbye);
    }
    if address == Address::CallFallback {
        let fault = fields.word("ErrorCode").unwrap_or("none");
        return asked("voice_fallback", format!("{call}:{fault}"), Answer::Apology);
    }
    let is_new =
        matches!(status, "ringing" | "in-progress") && fields.word("Direction") == Some("inbound");
    if address == Address::Call && is_new && !is_progress {
        return asked("incoming_call", call.to_owned(), Answer::Greeting);
    }
    let sequence = fields.number("SequenceNumber").unwrap_or("none");
    // What is billed is part of the key: a report of another length is not a copy of this one.
    let seconds = fields.number("CallDuration").unwrap_or("none");
    told(
        "call_status",
        format!("{call}:{status}:{sequence}:{seconds}"),
    )
}

fn of_message(address: Address, fields: &Fields<'_>, message: &str) -> Callback {
    let status = fields
        .word("MessageStatus")
        .or_else(|| fields.word("SmsStatus"));
    match status {
        Some("received") | None => {
            // A STOP is answered by the provider itself; a word from us would be one too many. And who has no number
            // of the usual form (a short code, a name) is a machine.
            let body = fields.get("Body").unwrap_or_default();
            let is_wish = wish(body, fields.word("OptOutType")).is_some();
            let is_person = fields
                .get("From")
                .is_some_and(|from| from.parse::<E164>().is_ok());
            let answer = match address {
                _ if is_wish || !is_person => Answer::Silence,
                Address::QuietMessage => Answer::OwnReply,
                _ => Answer::Reply,
            };
            asked("incoming_message", message.to_owned(), answer)
        }
        Some(status) => told("message_status", format!("{message}:{status}")),
    }
}

fn told(kind: &'static str, key: String) -> Callback {
    asked(kind, key, Answer::Received)
}

fn asked(kind: &'static str, key: String, answer: Answer) -> Callback {
    Callback {
        kind,
        key: Some(format!("{kind}:{key}")),
        answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "CallSid=CA00000000000000000000000000000003";
    const RECORDING: &str = "RecordingSid=RE00000000000000000000000000000004";
    const MESSAGE: &str = "MessageSid=SM00000000000000000000000000000001";

    fn check(address: Address, query: &str, kind: &str, answer: Answer) -> Option<String> {
        let params: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let callback = read(address, &params);
        assert_eq!((callback.kind, callback.answer), (kind, answer), "{query}");
        callback.key
    }

    #[test]
    fn one_url_takes_new_calls_and_their_reports() {
        let new = format!("{CALL}&CallStatus=ringing&Direction=inbound");
        check(Address::Call, &new, "incoming_call", Answer::Greeting);
        check(Address::Report, &new, "call_status", Answer::Received);
        check(
            Address::Call,
            &format!("{new}&CallbackSource=call-progress-events&SequenceNumber=1"),
            "call_status",
            Answer::Received,
        );
        check(
            Address::Call,
            &format!("{CALL}&CallStatus=completed&Direction=inbound"),
            "call_status",
            Answer::Received,
        );
        check(
            Address::CallFallback,
            &format!("{new}&ErrorCode=11200"),
            "voice_fallback",
            Answer::Apology,
        );
    }

    #[test]
    fn the_end_of_a_recording_is_a_question_and_its_status_is_not() {
        check(
            Address::Action,
            &format!("{CALL}&{RECORDING}&CallStatus=in-progress"),
            "record_action",
            Answer::Goodbye,
        );
        check(
            Address::Action,
            &format!("{CALL}&{RECORDING}&RecordingStatus=completed"),
            "recording_status",
            Answer::Received,
        );
        // A recorded call's own report names the recording too.
        check(
            Address::Report,
            &format!("{CALL}&{RECORDING}&CallStatus=completed"),
            "call_status",
            Answer::Received,
        );
    }

    #[test]
    fn messages_are_answered_and_their_reports_are_not() {
        let new = format!("{MESSAGE}&SmsStatus=received");
        for (rest, answer) in [
            ("&From=+14155550199&Body=hello", Answer::Reply),
            // Of nobody who reads: a wish that the provider answers, a short code, a name.
            (
                "&From=+14155550199&Body=hello&OptOutType=STOP",
                Answer::Silence,
            ),
            ("&From=+14155550199&Body=stop", Answer::Silence),
            ("&From=+14155550199&Body=Help", Answer::Silence),
            ("&From=12345&Body=hello", Answer::Silence),
            ("&From=BANK&Body=hello", Answer::Silence),
            ("&Body=hello", Answer::Silence),
        ] {
            let said = format!("{new}{rest}");
            check(Address::Message, &said, "incoming_message", answer);
            let quiet = match answer {
                Answer::Reply => Answer::OwnReply,
                answer => answer,
            };
            check(Address::QuietMessage, &said, "incoming_message", quiet);
        }
        check(
            Address::Message,
            &format!("{MESSAGE}&SmsStatus=sent&MessageStatus=sent"),
            "message_status",
            Answer::Received,
        );
    }

    #[test]
    fn every_step_of_a_call_has_a_key_of_its_own_and_a_copy_has_the_same() {
        let key = |query: &str| {
            check(
                Address::Report,
                &format!("{CALL}&{query}"),
                "call_status",
                Answer::Received,
            )
        };
        assert_eq!(
            key("CallStatus=completed&SequenceNumber=3&CallDuration=61").as_deref(),
            Some("call_status:CA00000000000000000000000000000003:completed:3:61")
        );
        assert_ne!(
            key("CallStatus=completed&SequenceNumber=3&CallDuration=61"),
            key("CallStatus=completed&SequenceNumber=3&CallDuration=60")
        );
        assert_ne!(
            key("CallStatus=completed&SequenceNumber=3"),
            key("CallStatus=ringing&SequenceNumber=1")
        );
    }

    /// `CallSid=CA…3` signs like a parameter `CallSidCA` with the value `…3`.
    #[test]
    fn an_id_in_another_form_is_no_id() {
        for query in [
            "CallSid=CA3",
            "CallSidCA=00000000000000000000000000000003",
            "CallSid=CA00000000000000000000000000000003To%2B1",
            "",
        ] {
            assert_eq!(check(Address::Call, query, "other", Answer::Received), None);
        }
    }
}
