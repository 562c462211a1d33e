//! The phone numbers bought: there is no idempotency key, only the exact number protects from
//! buying twice.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Stock, Twilio, errors, listing, stock};
use crate::sandbox::wire::{Params, Reply, Request};

/// A number somebody owns.
#[derive(Debug, Clone, Serialize)]
pub struct Number {
    pub sid: String,
    pub account_sid: String,
    /// E.164.
    pub phone_number: String,
    pub friendly_name: String,
    pub voice_url: String,
    pub voice_fallback_url: String,
    pub sms_url: String,
    pub sms_fallback_url: String,
    pub status_callback: String,
    pub bought_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A number that was paid for. Repeating the purchase of an owned number is none.
#[derive(Debug, Clone, Serialize)]
pub struct Purchase {
    pub at: DateTime<Utc>,
    pub account_sid: String,
    pub number_sid: String,
    pub phone_number: String,
    pub friendly_name: String,
}

impl Number {
    /// Take over what the form names, leave the rest.
    fn update(&mut self, params: &Params, now: DateTime<Utc>) {
        let fields = [
            ("FriendlyName", &mut self.friendly_name),
            ("VoiceUrl", &mut self.voice_url),
            ("VoiceFallbackUrl", &mut self.voice_fallback_url),
            ("SmsUrl", &mut self.sms_url),
            ("SmsFallbackUrl", &mut self.sms_fallback_url),
            ("StatusCallback", &mut self.status_callback),
        ];
        for (name, field) in fields {
            if let Some(value) = params.get(name) {
                *field = value.to_owned();
            }
        }
        self.updated_at = now;
    }

    fn json(&self) -> Value {
        let uri = format!(
            "/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{}.json",
            self.account_sid, self.sid
        );
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.friendly_name,
            "phone_number": self.phone_number,
            "voice_url": self.voice_url,
            "voice_method": "POST",
            "voice_fallback_url": self.voice_fallback_url,
            "voice_fallback_method": "POST",
            "voice_application_sid": null,
            "voice_caller_id_lookup": false,
            "sms_url": self.sms_url,
            "sms_method": "POST",
            "sms_fallback_url": self.sms_fallback_url,
            "sms_fallback_method": "POST",
            "sms_application_sid": "",
            "status_callback": self.status_callback,
            "status_callback_method": "POST",
            "address_requirements": "none",
            "address_sid": null,
            "bundle_sid": null,
            "beta": false,
            "origin": "twilio",
            "status": "in-use",
            "capabilities": {"voice": true, "sms": true, "mms": true, "fax": false},
            "api_version": "2010-04-01",
            "date_created": self.bought_at.to_rfc2822(),
            "date_updated": self.updated_at.to_rfc2822(),
            "uri": uri,
        })
    }
}

impl Twilio {
    /// Buy an exact number, or any of an area code.
    ///
    /// An exact number this account owns already is updated and answered with 201, like a purchase.
    /// By area code every call buys another number.
    pub(super) fn buy_number(
        &mut self,
        account: usize,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        if !self.accounts[account].is_active() {
            return Err(errors::not_active());
        }
        let account_sid = self.accounts[account].sid.clone();
        let wanted = match (
            request.params.get("PhoneNumber"),
            request.params.get("AreaCode"),
        ) {
            (Some(number), _) => exact(number)?,
            (None, Some(area_code)) => self.any_of(area_code)?,
            (None, None) => {
                return Err(errors::invalid_parameter(
                    "A PhoneNumber or an AreaCode is required",
                ));
            }
        };
        if let Some(owned) = self
            .numbers
            .iter_mut()
            .find(|number| number.phone_number == wanted)
        {
            if owned.account_sid != account_sid {
                return Err(errors::not_available());
            }
            owned.update(&request.params, now);
            return Ok(Reply::done(201, owned.json()));
        }
        if !self.stock.holds(&wanted) {
            return Err(errors::not_available());
        }
        let number = self.hand_over(account_sid, wanted, &request.params, now);
        Ok(Reply::done(201, number.json()))
    }

    fn any_of(&mut self, area_code: &str) -> Result<String, Reply> {
        if !Stock::is_area_code(area_code) {
            return Err(errors::error(400, 21451, "Invalid area code"));
        }
        let found = self.on_sale(area_code, |_| true, 1).pop();
        found.ok_or_else(|| errors::error(400, 21452, "No phone numbers found in area code"))
    }

    fn hand_over(
        &mut self,
        account_sid: String,
        phone_number: String,
        params: &Params,
        now: DateTime<Utc>,
    ) -> Number {
        let mut number = Number {
            sid: self.new_sid("PN"),
            account_sid,
            friendly_name: stock::friendly_name(&phone_number),
            phone_number,
            voice_url: String::new(),
            voice_fallback_url: String::new(),
            sms_url: String::new(),
            sms_fallback_url: String::new(),
            status_callback: String::new(),
            bought_at: now,
            updated_at: now,
        };
        number.update(params, now);
        self.purchases.push(Purchase {
            at: now,
            account_sid: number.account_sid.clone(),
            number_sid: number.sid.clone(),
            phone_number: number.phone_number.clone(),
            friendly_name: number.friendly_name.clone(),
        });
        self.numbers.push(number.clone());
        number
    }

    pub(super) fn list_numbers(&self, account: usize, request: &Request) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let number = request.params.get("PhoneNumber");
        let name = request.params.get("FriendlyName");
        let rows = self.numbers.iter().rev().filter(|row| {
            row.account_sid == *account_sid
                && number.is_none_or(|number| row.phone_number.contains(number))
                && name.is_none_or(|name| row.friendly_name == name)
        });
        Ok(listing::page(
            request,
            "incoming_phone_numbers",
            rows.map(Number::json).collect(),
        ))
    }

    /// Look at a number, change it, release it.
    pub(super) fn one_number(
        &mut self,
        method: &str,
        account: usize,
        sid: &str,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let is_it = |number: &Number| number.sid == sid && number.account_sid == *account_sid;
        let position = self.numbers.iter().position(is_it);
        let position = position.ok_or_else(|| errors::not_found(&request.path))?;
        match method {
            "GET" => Ok(Reply::done(200, self.numbers[position].json())),
            "POST" => {
                self.numbers[position].update(&request.params, now);
                Ok(Reply::done(200, self.numbers[position].json()))
            }
            "DELETE" => {
                self.numbers.remove(position);
                Ok(Reply::empty(204))
            }
            _ => Err(errors::not_found(&request.path)),
        }
    }
}

/// A US number in E.164.
fn exact(number: &str) -> Result<String, Reply> {
    let is_number = number.len() == 12
        && number.starts_with("+1")
        && number[1..].bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        Ok(number.to_owned())
    } else {
        Err(errors::error(400, 21421, "PhoneNumber is invalid"))
    }
}
