//! Calls and messages: what was called and written, as the lists have it. Nobody is called by the sandbox itself: its
//! owner says what happened.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Twilio, listing};
use crate::sandbox::wire::{Reply, Request};

/// A call that is over.
#[derive(Debug, Clone, Serialize)]
pub struct PhoneCall {
    pub sid: String,
    pub account_sid: String,
    pub from: String,
    pub to: String,
    pub seconds: u32,
    pub ended_at: DateTime<Utc>,
}

/// A message that somebody wrote.
#[derive(Debug, Clone, Serialize)]
pub struct PhoneMessage {
    pub sid: String,
    pub account_sid: String,
    pub from: String,
    pub to: String,
    pub body: String,
    pub sent_at: DateTime<Utc>,
}

impl PhoneCall {
    fn json(&self) -> Value {
        let began_at = self.ended_at - TimeDelta::seconds(self.seconds.into());
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "parent_call_sid": null,
            "from": self.from,
            "to": self.to,
            "status": "completed",
            "direction": "inbound",
            "duration": self.seconds.to_string(),
            "start_time": began_at.to_rfc2822(),
            "end_time": self.ended_at.to_rfc2822(),
            "price": null,
            "price_unit": "USD",
            "api_version": "2010-04-01",
        })
    }
}

impl PhoneMessage {
    fn json(&self) -> Value {
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "from": self.from,
            "to": self.to,
            "body": self.body,
            "status": "received",
            "direction": "inbound",
            "num_segments": "1",
            "num_media": "0",
            "error_code": null,
            "error_message": null,
            "date_sent": self.sent_at.to_rfc2822(),
            "price": null,
            "price_unit": "USD",
            "api_version": "2010-04-01",
        })
    }
}

impl Twilio {
    /// Somebody called a number, and it is over now. None: nobody owns that number.
    pub fn take_call(
        &mut self,
        to: &str,
        from: &str,
        seconds: u32,
        now: DateTime<Utc>,
    ) -> Option<PhoneCall> {
        let account_sid = self.owner_of(to)?;
        let call = PhoneCall {
            sid: self.new_sid("CA"),
            account_sid,
            from: from.to_owned(),
            to: to.to_owned(),
            seconds,
            ended_at: now,
        };
        self.calls.push(call.clone());
        Some(call)
    }

    /// Somebody wrote to a number. None: nobody owns that number.
    pub fn take_message(
        &mut self,
        to: &str,
        from: &str,
        body: &str,
        now: DateTime<Utc>,
    ) -> Option<PhoneMessage> {
        let account_sid = self.owner_of(to)?;
        let message = PhoneMessage {
            sid: self.new_sid("SM"),
            account_sid,
            from: from.to_owned(),
            to: to.to_owned(),
            body: body.to_owned(),
            sent_at: now,
        };
        self.messages.push(message.clone());
        Some(message)
    }

    /// Whose number it is.
    fn owner_of(&self, number: &str) -> Option<String> {
        let mut numbers = self.numbers.iter();
        let owned = numbers.find(|owned| owned.phone_number == number)?;
        Some(owned.account_sid.clone())
    }

    pub(super) fn list_calls(&self, account: usize, request: &Request) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let since = day(request, "EndTime>");
        let rows = self.calls.iter().rev().filter(|call| {
            call.account_sid == *account_sid
                && since.is_none_or(|since| call.ended_at.date_naive() >= since)
        });
        let rows = rows.map(PhoneCall::json).collect();
        Ok(listing::page(request, "calls", rows))
    }

    pub(super) fn list_messages(&self, account: usize, request: &Request) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let since = day(request, "DateSent>");
        let rows = self.messages.iter().rev().filter(|message| {
            message.account_sid == *account_sid
                && since.is_none_or(|since| message.sent_at.date_naive() >= since)
        });
        let rows = rows.map(PhoneMessage::json).collect();
        Ok(listing::page(request, "messages", rows))
    }
}

/// A day, in GMT.
pub(super) fn day(request: &Request, name: &str) -> Option<NaiveDate> {
    request.params.get(name)?.parse().ok()
}
