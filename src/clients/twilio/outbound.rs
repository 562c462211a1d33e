//! Calls and messages that leave: have one made, and look for one that may have been.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{API, Twilio, shapes::time};
use crate::clients::ClientError;

/// A call that is wanted. Twilio has no key for it: asked twice, it calls twice.
pub struct NewCall<'a> {
    pub from: &'a str,
    pub to: &'a str,
    /// What the called person hears.
    pub twiml: &'a str,
    /// Where every step of it is told.
    pub status_callback: &'a str,
    /// It is cut off then.
    pub seconds_max: u32,
}

/// A message that is wanted. Asked twice, it is sent twice.
pub struct NewMessage<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub body: &'a str,
    pub status_callback: &'a str,
}

/// A call or a message as Twilio has it.
#[derive(Clone, Deserialize)]
pub struct Made {
    pub sid: String,
    pub status: String,
    #[serde(default)]
    pub direction: Option<String>,
    /// Of a message.
    #[serde(default)]
    pub body: Option<String>,
    /// Of a message, as a text.
    #[serde(default)]
    pub num_segments: Option<String>,
    /// As in RFC 2822, to the second.
    #[serde(default)]
    date_created: Option<String>,
}

impl Made {
    /// When Twilio made it. None: it does not say.
    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        self.date_created.as_deref().and_then(time)
    }
}

/// Without what is written.
impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Made({}, {})", self.sid, self.status)
    }
}

impl Twilio {
    pub async fn make_call(&self, account: &str, call: &NewCall<'_>) -> Result<Made, ClientError> {
        let seconds_max = call.seconds_max.to_string();
        let form = [
            ("From", call.from),
            ("To", call.to),
            ("Twiml", call.twiml),
            ("TimeLimit", &seconds_max),
            ("StatusCallback", call.status_callback),
            ("StatusCallbackMethod", "POST"),
            ("StatusCallbackEvent", "initiated"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "completed"),
        ];
        self.post(&[API, "Accounts", account, "Calls.json"], &form)
            .await
    }

    pub async fn send_message(
        &self,
        account: &str,
        message: &NewMessage<'_>,
    ) -> Result<Made, ClientError> {
        let form = [
            ("From", message.from),
            ("To", message.to),
            ("Body", message.body),
            ("StatusCallback", message.status_callback),
        ];
        self.post(&[API, "Accounts", account, "Messages.json"], &form)
            .await
    }

    /// The newest calls from one number to another.
    pub async fn calls_between(
        &self,
        account: &str,
        from: &str,
        to: &str,
    ) -> Result<Vec<Made>, ClientError> {
        #[derive(Deserialize)]
        struct Page {
            calls: Vec<Made>,
        }
        let path = [API, "Accounts", account, "Calls.json"];
        let page: Page = self.get(&path, &newest(from, to)).await?;
        Ok(page.calls)
    }

    /// The newest messages from one number to another.
    pub async fn messages_between(
        &self,
        account: &str,
        from: &str,
        to: &str,
    ) -> Result<Vec<Made>, ClientError> {
        #[derive(Deserialize)]
        struct Page {
            messages: Vec<Made>,
        }
        let path = [API, "Accounts", account, "Messages.json"];
        let page: Page = self.get(&path, &newest(from, to)).await?;
        Ok(page.messages)
    }
}

/// The lists begin with the newest. By day they could not be asked for: what is queued has no day yet.
fn newest<'a>(from: &'a str, to: &'a str) -> [(&'static str, &'a str); 3] {
    [("From", from), ("To", to), ("PageSize", "100")]
}
