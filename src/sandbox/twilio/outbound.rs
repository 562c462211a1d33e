//! Calls and messages that are asked for. Each request makes another one, as at Twilio: there is no key.

use chrono::{DateTime, Utc};

use super::{PhoneCall, PhoneMessage, Twilio, errors, phone_log::Asked};
use crate::sandbox::wire::{Reply, Request};

impl Twilio {
    pub(super) fn make_call(
        &mut self,
        account: usize,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        let (account_sid, from, to) = self.parties(account, request)?;
        let twiml = wanted(request, "Twiml", 21205)?;
        let call = PhoneCall {
            sid: self.new_sid("CA"),
            account_sid,
            from,
            to,
            status: "queued",
            seconds: 0,
            created_at: now,
            ended_at: None,
            parent_sid: None,
            asked: Some(Asked {
                twiml,
                seconds_max: param(request, "TimeLimit").and_then(|text| text.parse().ok()),
                status_callback: param(request, "StatusCallback").unwrap_or_default(),
            }),
        };
        self.calls.push(call.clone());
        Ok(Reply::done(201, call.json(now)))
    }

    pub(super) fn send_message(
        &mut self,
        account: usize,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        let (account_sid, from, to) = self.parties(account, request)?;
        let body = wanted(request, "Body", 21602)?;
        let message = PhoneMessage {
            sid: self.new_sid("SM"),
            account_sid,
            from,
            to,
            body,
            status: "queued",
            created_at: now,
            sent_at: None,
            status_callback: Some(param(request, "StatusCallback").unwrap_or_default()),
        };
        self.messages.push(message.clone());
        Ok(Reply::done(201, message.json(now)))
    }

    /// Who calls or writes to whom: from a number of that very account.
    fn parties(
        &self,
        account: usize,
        request: &Request,
    ) -> Result<(String, String, String), Reply> {
        let account = &self.accounts[account];
        if !account.is_active() {
            return Err(errors::not_active());
        }
        let (from, to) = (
            wanted(request, "From", 21603)?,
            wanted(request, "To", 21604)?,
        );
        let mut numbers = self.numbers.iter();
        let is_own =
            numbers.any(|number| number.phone_number == from && number.account_sid == account.sid);
        // The main account has numbers that were bought before anything here was.
        if !is_own && account.sid != self.parent_sid {
            let why = "The From number is not a phone number of this account";
            return Err(errors::error(400, 21606, why));
        }
        Ok((account.sid.clone(), from, to))
    }

    /// Somebody took the call, and it is over now. None: there is no such call.
    pub fn end_call(&mut self, sid: &str, seconds: u32, now: DateTime<Utc>) -> Option<PhoneCall> {
        let call = self.calls.iter_mut().find(|call| call.sid == sid)?;
        (call.status, call.seconds, call.ended_at) = ("completed", seconds, Some(now));
        Some(call.clone())
    }

    /// The message has arrived. None: there is no such message.
    pub fn deliver(&mut self, sid: &str, now: DateTime<Utc>) -> Option<PhoneMessage> {
        let message = self
            .messages
            .iter_mut()
            .find(|message| message.sid == sid)?;
        (message.status, message.sent_at) = ("delivered", Some(now));
        Some(message.clone())
    }

    /// The calls there were, oldest first.
    pub fn phone_calls(&self) -> Vec<PhoneCall> {
        self.calls.clone()
    }

    /// The messages there were, oldest first.
    pub fn phone_messages(&self) -> Vec<PhoneMessage> {
        self.messages.clone()
    }
}

fn param(request: &Request, name: &str) -> Option<String> {
    let text = request.params.get(name)?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn wanted(request: &Request, name: &str, code: u32) -> Result<String, Reply> {
    param(request, name).ok_or_else(|| errors::error(400, code, &format!("{name} is required")))
}
