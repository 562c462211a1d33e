//! Twilio's lists of calls and messages: what its callbacks told, and what they failed to tell.

use chrono::NaiveDate;
use serde::Deserialize;
use tollkeeper_jobs::telephony::{calls, costs::read_price, messages};

use super::{API, Twilio, shapes::time};
use crate::clients::{ClientError, found};

#[derive(Deserialize)]
struct ListedCall {
    sid: String,
    parent_call_sid: Option<String>,
    from: Option<String>,
    to: Option<String>,
    status: String,
    /// Seconds, as a text.
    duration: Option<String>,
    direction: Option<String>,
    end_time: Option<String>,
    /// Not there at first.
    price: Option<String>,
    price_unit: Option<String>,
}

#[derive(Deserialize)]
struct ListedMessage {
    sid: String,
    from: Option<String>,
    to: Option<String>,
    body: Option<String>,
    num_segments: Option<String>,
    num_media: Option<String>,
    status: String,
    direction: Option<String>,
    error_code: Option<u32>,
    date_sent: Option<String>,
    /// Not there at first.
    price: Option<String>,
    price_unit: Option<String>,
}

impl Twilio {
    /// The calls of an account that ended on this day (GMT) or later. None: Twilio knows no such account.
    pub async fn calls_since(
        &self,
        account: &str,
        day: NaiveDate,
    ) -> Result<Option<Vec<calls::Report>>, ClientError> {
        let path = [API, "Accounts", account, "Calls.json"];
        // As Twilio writes `EndTime>=`.
        let query = [("EndTime>", &*day.to_string()), ("PageSize", "1000")];
        let listed = found(self.all(&path, &query, "calls").await)?;
        Ok(listed.map(|listed| listed.into_iter().map(call).collect()))
    }

    /// The messages of an account that were sent on this day (GMT) or later. None: Twilio knows no such account.
    pub async fn messages_since(
        &self,
        account: &str,
        day: NaiveDate,
    ) -> Result<Option<Vec<messages::Report>>, ClientError> {
        let path = [API, "Accounts", account, "Messages.json"];
        let query = [("DateSent>", &*day.to_string()), ("PageSize", "1000")];
        let listed = found(self.all(&path, &query, "messages").await)?;
        Ok(listed.map(|listed| listed.into_iter().map(message).collect()))
    }
}

fn call(listed: ListedCall) -> calls::Report {
    calls::Report {
        cost_micros: read_price(listed.price.as_deref(), listed.price_unit.as_deref()),
        call_ref: listed.sid,
        parent_ref: listed.parent_call_sid,
        is_inbound: listed.direction.map(|direction| direction == "inbound"),
        from: listed.from,
        to: listed.to,
        status: calls::Status::of(&listed.status),
        seconds: listed.duration.and_then(|seconds| seconds.parse().ok()),
        at: listed.end_time.as_deref().and_then(time),
    }
}

fn message(listed: ListedMessage) -> messages::Report {
    let count = |text: Option<String>| text.and_then(|count| count.parse().ok());
    messages::Report {
        cost_micros: read_price(listed.price.as_deref(), listed.price_unit.as_deref()),
        message_ref: listed.sid,
        is_inbound: listed.direction.map(|direction| direction == "inbound"),
        from: listed.from,
        to: listed.to,
        body: listed.body.map(|body| body.replace('\0', "")),
        segments: count(listed.num_segments),
        media: count(listed.num_media),
        status: messages::Status::of(&listed.status),
        error_code: listed.error_code.map(|code| code.to_string()),
        at: listed.date_sent.as_deref().and_then(time),
    }
}
