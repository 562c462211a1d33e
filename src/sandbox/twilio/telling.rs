//! Twilio's own requests: a number's URLs, and those that it was answered, are asked and told, signed with the token of
//! the number's account.

use super::{PhoneCall, PhoneMessage, Recording, Twilio};
use crate::signature::twilio::sign;

/// One request, as it leaves.
pub(in crate::sandbox) struct Callback {
    pub url: String,
    pub params: Vec<(String, String)>,
    pub signature: String,
}

impl Twilio {
    /// A number's voice URL is asked what the caller is to hear. None: the number has none.
    pub fn ask_about_call(&self, call: &PhoneCall) -> Option<Callback> {
        let params = [
            ("CallSid", &*call.sid),
            ("CallStatus", "ringing"),
            ("Direction", "inbound"),
            ("From", &call.from),
            ("To", &call.to),
        ];
        self.callback(&call.to, |number| &number.voice_url, &params)
    }

    /// Its status URL, or the one that was given with the call, is told that it is over. Only that is told by default.
    pub fn tell_of_call(&self, call: &PhoneCall) -> Option<Callback> {
        let seconds = call.seconds.to_string();
        let params = [
            ("CallSid", &*call.sid),
            ("CallStatus", call.status),
            ("CallDuration", &seconds),
            ("Timestamp", &call.ended_at?.to_rfc2822()),
            ("Direction", call.direction()),
            ("From", &call.from),
            ("To", &call.to),
        ];
        match &call.asked {
            Some(asked) => self.signed(&call.account_sid, &asked.status_callback, &params),
            None => self.callback(&call.to, |number| &number.status_callback, &params),
        }
    }

    /// The URL that was given with a message is told how far it came.
    pub fn tell_of_message(&self, message: &PhoneMessage) -> Option<Callback> {
        let params = [
            ("MessageSid", &*message.sid),
            ("MessageStatus", message.status),
            ("From", &message.from),
            ("To", &message.to),
        ];
        self.signed(
            &message.account_sid,
            message.status_callback.as_ref()?,
            &params,
        )
    }

    /// Its message URL is asked what the sender is to read.
    pub fn ask_about_message(&self, message: &PhoneMessage) -> Option<Callback> {
        let params = [
            ("MessageSid", &*message.sid),
            ("SmsStatus", "received"),
            ("From", &message.from),
            ("To", &message.to),
            ("Body", &message.body),
            ("NumSegments", "1"),
            ("NumMedia", "0"),
        ];
        self.callback(&message.to, |number| &number.sms_url, &params)
    }

    fn callback(
        &self,
        to: &str,
        url_of: impl Fn(&super::Number) -> &String,
        params: &[(&str, &str)],
    ) -> Option<Callback> {
        let number = self
            .numbers
            .iter()
            .find(|number| number.phone_number == to)?;
        self.signed(&number.account_sid, url_of(number), params)
    }

    /// What comes after a recording is asked at the address that the TwiML named: its `action`.
    pub fn ask_about_recording(
        &self,
        call: &PhoneCall,
        recording: &Recording,
        twiml: &str,
    ) -> Option<Callback> {
        let seconds = recording.seconds.to_string();
        let params = [
            ("CallSid", &*call.sid),
            ("CallStatus", "in-progress"),
            ("Direction", "inbound"),
            ("From", &call.from),
            ("To", &call.to),
            ("RecordingSid", &recording.sid),
            ("RecordingUrl", "https://api.twilio.com/is/not/asked"),
            ("RecordingDuration", &seconds),
            ("Digits", "hangup"),
        ];
        let url = attribute(twiml, "action")?;
        self.signed(&recording.account_sid, &url, &params)
    }

    /// That its file is there is told at another one: its `recordingStatusCallback`.
    pub fn tell_of_recording(&self, recording: &Recording, twiml: &str) -> Option<Callback> {
        let seconds = recording.seconds.to_string();
        let params = [
            ("CallSid", &*recording.call_sid),
            ("RecordingSid", &recording.sid),
            ("RecordingUrl", "https://api.twilio.com/is/not/asked"),
            ("RecordingStatus", "completed"),
            ("RecordingDuration", &seconds),
            ("RecordingChannels", "1"),
            ("RecordingStartTime", &recording.made_at.to_rfc2822()),
            ("RecordingSource", "RecordVerb"),
        ];
        let url = attribute(twiml, "recordingStatusCallback")?;
        self.signed(&recording.account_sid, &url, &params)
    }

    /// A request as the account signs it. None: there is no URL.
    fn signed(&self, account_sid: &str, url: &str, params: &[(&str, &str)]) -> Option<Callback> {
        let mut accounts = self.accounts.iter();
        let account = accounts.find(|account| account.sid == account_sid)?;
        // What stands behind # is advice on repeats; it is neither sent nor signed.
        let url = url.split('#').next().filter(|url| !url.is_empty())?;
        let of_account = [("AccountSid", account.sid.as_str())];
        let params: Vec<(String, String)> = of_account
            .iter()
            .chain(params)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Some(Callback {
            url: url.to_owned(),
            signature: sign(&account.auth_token, url, &params),
            params,
        })
    }
}

/// Of the `<Record>` in an answer. None: it records nothing.
fn attribute(twiml: &str, name: &str) -> Option<String> {
    let (_, verb) = twiml.split_once("<Record ")?;
    let (verb, _) = verb.split_once('>')?;
    let (_, value) = verb.split_once(&format!("{name}=\""))?;
    let (value, _) = value.split_once('"')?;
    Some(value.replace("&amp;", "&"))
}
