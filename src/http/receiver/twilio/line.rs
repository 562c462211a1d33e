//! A number that is called or written to, as far as it decides what is said.

use serde_json::Value;
use tollkeeper_jobs::telephony::{e164::E164, inbound::Call, settings::Settings};

use super::incoming::Incoming;
use crate::db::phone_settings::OfNumber;

/// Of an answer that no settings decide, nothing is known of the line.
#[derive(Debug, Default)]
pub struct Line {
    /// None: nobody has that number.
    pub account_id: Option<String>,
    pub settings: Settings,
    /// How a call ended that was put through, in Twilio's words.
    pub dialled: String,
    from: Option<String>,
    to: Option<String>,
    ours: Vec<String>,
    minutes_left: Option<u32>,
}

impl Line {
    /// `minutes_left` there is money for, today.
    pub fn of(found: OfNumber, incoming: &Incoming, minutes_left: Option<u32>) -> Line {
        let param = |name| incoming.param(name).map(str::to_owned);
        Line {
            settings: read(found.of_number).over(read(found.of_account)),
            account_id: found.account_id,
            dialled: param("DialCallStatus").unwrap_or_default(),
            from: param("From"),
            to: param("To"),
            ours: found.ours,
            minutes_left,
        }
    }

    /// Whether the day's money is used up.
    pub fn is_spent(&self) -> bool {
        self.minutes_left == Some(0)
    }

    pub fn call(&self) -> Call<'_> {
        Call {
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            ours: &self.ours,
            minutes_left: self.minutes_left,
        }
    }
}

/// A number in the form in which settings name it.
pub fn as_stored(number: &str) -> String {
    E164::as_written(number).map_or_else(|_| number.to_owned(), String::from)
}

/// What cannot be read says nothing: a caller is greeted all the same.
fn read(stored: Option<Value>) -> Settings {
    let read = stored.map(serde_json::from_value).transpose();
    read.unwrap_or_else(|_| {
        tracing::error!("settings of a number cannot be read; it is answered without them");
        None
    })
    .unwrap_or_default()
}
