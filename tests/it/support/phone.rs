//! Somebody's number at the sandbox, and what Twilio tells of it.

use reqwest::Response;

use tollkeeper::{
    clients::{on_sale::Wanted, twilio::Twilio},
    sandbox::{Sandbox, twilio::Recording},
};

use super::web::Web;

pub struct Phone {
    pub account_sid: String,
    /// What it signs with.
    pub token: String,
    pub number: String,
}

/// Who calls and writes.
pub const CALLER: &str = "+14155550199";

/// Local numbers that somebody can buy there now, as E.164.
pub async fn on_sale(twilio: &Twilio, account: &str, area_code: Option<&str>) -> Vec<String> {
    let wanted = Wanted {
        country: "US",
        area_code,
        count: 50,
        ..Wanted::default()
    };
    let found = twilio.on_sale(account, &wanted).await.unwrap();
    found.into_iter().map(|one| one.phone_number).collect()
}

impl Phone {
    /// The number that a user has.
    pub fn of(sandbox: &Sandbox, user: &str) -> Phone {
        let name = format!("acct:{user}");
        let subaccounts = sandbox.subaccounts();
        let account = subaccounts
            .into_iter()
            .find(|account| account.friendly_name == name)
            .unwrap();
        let numbers = sandbox.numbers();
        let number = numbers
            .into_iter()
            .find(|number| number.account_sid == account.sid)
            .unwrap();
        Phone {
            account_sid: account.sid,
            token: account.auth_token,
            number: number.phone_number,
        }
    }

    /// A callback about it, signed with its own token.
    pub async fn tell(&self, web: &Web, target: &str, params: &[(&str, &str)]) -> Response {
        let account = [("AccountSid", self.account_sid.as_str())];
        let params = [&account[..], params].concat();
        web.twilio(target, &params, &self.token).await
    }

    /// Somebody called it: what its status is now, and at its end how many seconds it was.
    pub async fn call(&self, web: &Web, call_ref: &str, status: &str, seconds: Option<&str>) {
        let mut params = vec![
            ("CallSid", call_ref),
            ("CallStatus", status),
            ("Direction", "inbound"),
            ("From", CALLER),
            ("To", &self.number),
        ];
        params.extend(seconds.map(|seconds| ("CallDuration", seconds)));
        let answer = self.tell(web, "/api/twilio/status", &params).await;
        assert_eq!(answer.status(), 200);
    }

    /// A call was recorded: what its recording's status is now, and its callback's address for it.
    pub async fn recorded(&self, web: &Web, recording: &Recording, status: &str, url: &str) {
        let seconds = recording.seconds.to_string();
        let params = [
            ("CallSid", recording.call_sid.as_str()),
            ("RecordingSid", &recording.sid),
            ("RecordingStatus", status),
            ("RecordingDuration", &seconds),
            ("RecordingUrl", url),
        ];
        let answer = self
            .tell(web, "/api/twilio/recording-status", &params)
            .await;
        assert_eq!(answer.status(), 200);
    }

    /// Somebody wrote to it. Answers what they hear.
    pub async fn message(&self, web: &Web, message_ref: &str, from: &str, body: &str) -> String {
        self.message_at("/api/twilio/sms", web, message_ref, from, body)
            .await
    }

    /// The same where the number has another URL.
    pub async fn message_at(
        &self,
        path: &str,
        web: &Web,
        message_ref: &str,
        from: &str,
        body: &str,
    ) -> String {
        let params = [
            ("MessageSid", message_ref),
            ("SmsStatus", "received"),
            ("From", from),
            ("To", &self.number),
            ("Body", body),
            ("NumSegments", "1"),
        ];
        let answer = self.tell(web, path, &params).await;
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }
}

/// An id of Twilio's, of this kind.
pub fn sid(kind: &str, nth: usize) -> String {
    format!("{kind}{nth:032x}")
}
