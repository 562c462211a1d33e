//! Reading what a Twilio callback says of a call, a message or a recording.

use chrono::{DateTime, Utc};

use super::{calls, fields::Fields, messages, recordings};

/// No field of ours is longer; what is, is no number and no name of a state.
const TEXT_MAX: usize = 320;

/// What it says of a call. None: it names none.
pub fn of_call(fields: &Fields<'_>) -> Option<calls::Report> {
    let call_ref = fields.sid("CallSid", &["CA"])?;
    Some(calls::Report {
        call_ref: call_ref.to_owned(),
        parent_ref: fields.sid("ParentCallSid", &["CA"]).map(str::to_owned),
        is_inbound: fields.word("Direction").map(|way| way == "inbound"),
        from: text(fields, "From"),
        to: text(fields, "To"),
        status: fields.word("CallStatus").and_then(calls::Status::of),
        // `Duration` counts billed minutes; of those the rule is ours.
        seconds: fields
            .number("CallDuration")
            .and_then(|seconds| seconds.parse().ok()),
        at: fields.get("Timestamp").and_then(time),
        cost_micros: None,
    })
}

/// What it says of a message. None: it names none.
pub fn of_message(fields: &Fields<'_>) -> Option<messages::Report> {
    let message_ref = fields
        .sid("MessageSid", &["SM", "MM"])
        .or_else(|| fields.sid("SmsSid", &["SM", "MM"]))?;
    let status = fields
        .word("MessageStatus")
        .or_else(|| fields.word("SmsStatus"));
    // What somebody sent us may say nothing of its state; whatever says another one was sent by us.
    let is_inbound = status.is_none_or(|status| status == "received");
    let status = status.and_then(messages::Status::of);
    let body = fields.get("Body").map(|body| body.replace('\0', ""));
    Some(messages::Report {
        message_ref: message_ref.to_owned(),
        is_inbound: Some(is_inbound),
        from: text(fields, "From"),
        to: text(fields, "To"),
        body,
        segments: count(fields, "NumSegments"),
        media: count(fields, "NumMedia"),
        status: match is_inbound {
            true => Some(messages::Status::Received),
            false => status,
        },
        error_code: fields
            .number("ErrorCode")
            .filter(|code| *code != "0")
            .map(str::to_owned),
        at: None,
        cost_micros: None,
    })
}

/// What it says of a recording. None: it names none.
///
/// A recorded call's own report, and the question what comes after a recording, name it without its status: it is over
/// then, and its file may not be there yet. Where it says the file is, nobody asks: its place is known by its id.
pub fn of_recording(fields: &Fields<'_>) -> Option<recordings::Report> {
    let recording_ref = fields.sid("RecordingSid", &["RE"])?;
    Some(recordings::Report {
        recording_ref: recording_ref.to_owned(),
        call_ref: fields.sid("CallSid", &["CA"]).map(str::to_owned),
        status: match fields.word("RecordingStatus") {
            Some(status) => recordings::Status::of(status),
            None => Some(recordings::Status::Processing),
        },
        seconds: count(fields, "RecordingDuration"),
        at: fields.get("RecordingStartTime").and_then(time),
    })
}

fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    let text = fields.get(name)?;
    let is_text = !text.is_empty() && text.len() <= TEXT_MAX && !text.contains('\0');
    is_text.then(|| text.to_owned())
}

fn count(fields: &Fields<'_>, name: &str) -> Option<u32> {
    fields.number(name)?.parse().ok()
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc2822(text).ok()?;
    Some(time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(file: &str) -> Vec<(String, String)> {
        let path = format!(
            "{}/../tests/it/golden/webhooks/twilio/{file}.form",
            env!("CARGO_MANIFEST_DIR")
        );
        let form = std::fs::read(path).unwrap();
        form_urlencoded::parse(&form).into_owned().collect()
    }

    #[test]
    fn a_recorded_call_says_how_long_it_was_and_when_it_ended() {
        let params = recorded("number_status_callback_inbound_completed");
        let said = of_call(&Fields(&params)).unwrap();
        let expected = calls::Report {
            call_ref: "CA00000000000000000000000000000003".into(),
            parent_ref: None,
            is_inbound: Some(true),
            from: Some("+14155550199".into()),
            to: Some("+14155550100".into()),
            status: Some(calls::Status::Completed),
            seconds: Some(125),
            at: Some("2026-10-15T12:01:06Z".parse().unwrap()),
            cost_micros: None,
        };
        assert_eq!(said, expected);
        let params = recorded("call_status_3_completed");
        assert_eq!(of_call(&Fields(&params)).unwrap().is_inbound, Some(false));
    }

    #[test]
    fn a_recorded_message_says_its_segments_and_a_report_of_one_does_not() {
        let params = recorded("sms_incoming_3_segments");
        let said = of_message(&Fields(&params)).unwrap();
        assert_eq!(
            (said.is_inbound, said.segments, said.media, said.status),
            (
                Some(true),
                Some(3),
                Some(0),
                Some(messages::Status::Received)
            )
        );
        let params = recorded("message_status_delivered");
        let said = of_message(&Fields(&params)).unwrap();
        assert_eq!(
            (said.is_inbound, said.segments, said.status, said.body),
            (Some(false), None, Some(messages::Status::Delivered), None)
        );
    }

    #[test]
    fn a_recording_is_told_of_with_and_without_its_status() {
        let said = |file: &str| of_recording(&Fields(&recorded(file)));
        let ended = said("recording_status_completed").unwrap();
        assert_eq!(ended.status, Some(recordings::Status::Completed));
        assert!(ended.seconds.is_some() && ended.call_ref.is_some());
        let asked = said("record_action").unwrap();
        assert_eq!(asked.status, Some(recordings::Status::Processing));
        assert_eq!(said("message_status_delivered"), None);
    }

    #[test]
    fn a_report_of_what_we_sent_is_none_of_what_we_got_though_it_has_a_text() {
        let params = [
            ("MessageSid", "SM00000000000000000000000000000005"),
            ("MessageStatus", "delivered"),
            ("Body", "STOP"),
        ];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let said = of_message(&Fields(&params)).unwrap();
        assert_eq!(
            (said.is_inbound, said.status),
            (Some(false), Some(messages::Status::Delivered))
        );
    }
}
