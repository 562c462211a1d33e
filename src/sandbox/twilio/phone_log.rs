//! Calls and messages: what was called and written, as the lists have it. Nobody is called by the sandbox itself: its
//! owner says what happened, of what was asked for too.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Twilio, listing};
use crate::sandbox::wire::{Reply, Request};

/// A call: one that is over, or one that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct PhoneCall {
    pub sid: String,
    pub account_sid: String,
    pub from: String,
    pub to: String,
    /// queued, or completed.
    pub status: &'static str,
    pub seconds: u32,
    pub created_at: DateTime<Utc>,
    /// None: it is not over.
    pub ended_at: Option<DateTime<Utc>>,
    /// None: somebody called one of the numbers.
    pub asked: Option<Asked>,
    /// The call that was put through; this one is its other leg, which its account pays too.
    pub parent_sid: Option<String>,
}

/// What was said of a call that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    pub twiml: String,
    pub seconds_max: Option<u32>,
    pub status_callback: String,
}

/// A message that somebody wrote, or one that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct PhoneMessage {
    pub sid: String,
    pub account_sid: String,
    pub from: String,
    pub to: String,
    pub body: String,
    /// received, queued, or delivered.
    pub status: &'static str,
    pub created_at: DateTime<Utc>,
    /// None: it is queued.
    pub sent_at: Option<DateTime<Utc>>,
    /// None: somebody wrote to one of the numbers.
    pub status_callback: Option<String>,
}

/// So long after a call or a message nobody knows yet what it costs.
const PRICED_AFTER: TimeDelta = TimeDelta::minutes(30);

/// What Twilio takes, as it writes it: below zero, and not at once. `units` of so many ten-thousandths of a dollar.
fn price(units: u32, each: u32, over_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    let amount = units * each;
    (now - over_at >= PRICED_AFTER).then(|| format!("-{}.{:04}0", amount / 10_000, amount % 10_000))
}

impl PhoneCall {
    /// Each begun one is billed.
    pub(super) fn minutes(&self) -> u32 {
        self.seconds.div_ceil(60)
    }

    /// None: it is not over.
    pub(super) fn began_at(&self) -> Option<DateTime<Utc>> {
        let ended_at = self.ended_at?;
        Some(ended_at - TimeDelta::seconds(self.seconds.into()))
    }

    pub(super) fn is_inbound(&self) -> bool {
        self.parent_sid.is_none() && self.asked.is_none()
    }

    pub(super) fn direction(&self) -> &'static str {
        match (self.is_inbound(), &self.parent_sid) {
            (true, _) => "inbound",
            (false, Some(_)) => "outbound-dial",
            (false, None) => "outbound-api",
        }
    }

    pub(super) fn json(&self, now: DateTime<Utc>) -> Value {
        let duration = self.ended_at.map(|_| self.seconds.to_string());
        let each = match self.is_inbound() {
            true => 85,
            false => 140,
        };
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "parent_call_sid": self.parent_sid,
            "from": self.from,
            "to": self.to,
            "status": self.status,
            "direction": self.direction(),
            "duration": duration,
            "date_created": self.created_at.to_rfc2822(),
            "start_time": self.began_at().map(|at| at.to_rfc2822()),
            "end_time": self.ended_at.map(|at| at.to_rfc2822()),
            "price": self.ended_at.and_then(|at| price(self.minutes(), each, at, now)),
            "price_unit": "USD",
            "api_version": "2010-04-01",
        })
    }
}

impl PhoneMessage {
    pub(super) fn is_inbound(&self) -> bool {
        self.status_callback.is_none()
    }

    pub(super) fn direction(&self) -> &'static str {
        match self.is_inbound() {
            true => "inbound",
            false => "outbound-api",
        }
    }

    pub(super) fn json(&self, now: DateTime<Utc>) -> Value {
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "from": self.from,
            "to": self.to,
            "body": self.body,
            "status": self.status,
            "direction": self.direction(),
            "num_segments": "1",
            "num_media": "0",
            "error_code": null,
            "error_message": null,
            "date_created": self.created_at.to_rfc2822(),
            "date_sent": self.sent_at.map(|at| at.to_rfc2822()),
            "price": self.sent_at.and_then(|at| price(1, 83, at, now)),
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
            status: "completed",
            seconds,
            created_at: now - TimeDelta::seconds(seconds.into()),
            ended_at: Some(now),
            asked: None,
            parent_sid: None,
        };
        self.calls.push(call.clone());
        Some(call)
    }

    /// A call was put through, and its other leg is over too.
    pub fn put_through(
        &mut self,
        parent: &PhoneCall,
        to: &str,
        seconds: u32,
        now: DateTime<Utc>,
    ) -> PhoneCall {
        let leg = PhoneCall {
            sid: self.new_sid("CA"),
            to: to.to_owned(),
            seconds,
            ended_at: Some(now),
            parent_sid: Some(parent.sid.clone()),
            ..parent.clone()
        };
        self.calls.push(leg.clone());
        leg
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
            status: "received",
            created_at: now,
            sent_at: Some(now),
            status_callback: None,
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

    pub(super) fn list_calls(
        &self,
        account: usize,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let since = day(request, "EndTime>");
        let rows = self.calls.iter().rev().filter(|call| {
            call.account_sid == *account_sid
                && is_between(request, &call.from, &call.to)
                && since
                    .is_none_or(|since| call.ended_at.is_some_and(|at| at.date_naive() >= since))
        });
        let rows = rows.map(|call| call.json(now)).collect();
        Ok(listing::page(request, "calls", rows))
    }

    pub(super) fn list_messages(
        &self,
        account: usize,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let since = day(request, "DateSent>");
        let rows = self.messages.iter().rev().filter(|message| {
            message.account_sid == *account_sid
                && is_between(request, &message.from, &message.to)
                && since
                    .is_none_or(|since| message.sent_at.is_some_and(|at| at.date_naive() >= since))
        });
        let rows = rows.map(|message| message.json(now)).collect();
        Ok(listing::page(request, "messages", rows))
    }
}

/// Whether a list was asked for that has it.
fn is_between(request: &Request, from: &str, to: &str) -> bool {
    let is = |name, number: &str| {
        request
            .params
            .get(name)
            .is_none_or(|wanted| wanted == number)
    };
    is("From", from) && is("To", to)
}

/// A day, in GMT.
pub(super) fn day(request: &Request, name: &str) -> Option<NaiveDate> {
    request.params.get(name)?.parse().ok()
}
