//! The numbers there: on sale, ordered, cancelled. An order takes no key, and what is ordered twice is paid for twice.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tollkeeper_jobs::telephony::{countries, e164::E164};

use super::{Voipms, national, written};
use crate::sandbox::{Sandbox, twilio::Stock, wire::Request};

/// As many as it shows of what is on sale.
const FOUND_MAX: usize = 100;

/// A number that is owned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Did {
    /// Ten digits.
    pub did: String,
    pub note: String,
    pub routing: String,
    /// Messages are switched on.
    pub is_on: bool,
    /// The URL that is told of them, with `{FROM}` and its kind in it.
    pub callback: Option<String>,
    pub ordered_at: DateTime<Utc>,
}

/// A number that was paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DidPurchase {
    pub at: DateTime<Utc>,
    pub did: String,
    pub note: String,
}

impl Voipms {
    pub fn dids(&self) -> Vec<Did> {
        self.dids.clone()
    }

    pub fn bought(&self) -> Vec<DidPurchase> {
        self.bought.clone()
    }

    /// Set a number up, with the URL that is told of messages; None: nobody is.
    fn own(&mut self, did: &str, callback: Option<&str>, now: DateTime<Utc>) {
        self.dids.retain(|owned| owned.did != did);
        self.dids.push(Did {
            did: did.to_owned(),
            note: String::new(),
            routing: "none:".to_owned(),
            is_on: true,
            callback: callback.map(str::to_owned),
            ordered_at: now,
        });
    }

    /// Nothing is a refusal.
    pub(super) fn list_dids(&self, request: &Request) -> Result<Value, &'static str> {
        let wanted = request.params.get("did").filter(|did| !did.is_empty());
        let is_wanted = |owned: &&Did| wanted.is_none_or(|did| did == owned.did);
        let rows: Vec<Value> = self.dids.iter().filter(is_wanted).map(row).collect();
        match rows.is_empty() {
            true => Err("no_did"),
            false => Ok(json!({ "dids": rows })),
        }
    }

    pub(super) fn search(&self, request: &Request, country: &str) -> Result<Value, &'static str> {
        let query = request.params.get("query").unwrap_or_default();
        if query.is_empty() {
            return Err("missing_query");
        }
        let fits = |digits: &str| match request.params.get("type") {
            Some("starts") => digits.starts_with(query),
            Some("ends") => digits.ends_with(query),
            _ => digits.contains(query),
        };
        let area_code = match request.params.get("type") {
            Some("starts") if query.len() >= 3 => &query[..3],
            _ => &self.stock.default_area_code,
        };
        let rows: Vec<Value> = self
            .of_area(area_code, country)
            .filter(|digits| fits(digits))
            .take(FOUND_MAX)
            .map(|digits| on_sale(&digits))
            .collect();
        match rows.is_empty() {
            true => Err("no_did"),
            false => Ok(json!({ "dids": rows })),
        }
    }

    /// What is on sale there, as ten digits.
    fn of_area(&self, area_code: &str, country: &str) -> impl Iterator<Item = String> {
        let size = match Stock::is_area_code(area_code) {
            true => self.stock.size(area_code),
            false => 0,
        };
        let numbers = (0..size).map(|nth| self.stock.number(area_code, nth));
        let is_there = |number: &String| {
            let number = number.parse::<E164>();
            number.is_ok_and(|number| countries::country(&number) == Some(country))
        };
        let digits = numbers
            .filter(is_there)
            .map(|number| national(&number).to_owned());
        digits.filter(|digits| !self.is_taken(digits))
    }

    fn is_taken(&self, did: &str) -> bool {
        self.sold.iter().any(|sold| sold == did) || self.dids.iter().any(|owned| owned.did == did)
    }

    /// What is owned already is paid for once more.
    pub(super) fn order(
        &mut self,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Value, &'static str> {
        let param = |name: &str| request.params.get(name).unwrap_or_default();
        for (name, word) in [
            ("did", "missing_did"),
            ("routing", "missing_routing"),
            ("pop", "missing_pop"),
            ("dialtime", "missing_dialtime"),
            ("cnam", "missing_cnam"),
            ("billing_type", "missing_billing_type"),
        ] {
            if param(name).is_empty() {
                return Err(word);
            }
        }
        let (did, note) = (param("did"), param("note"));
        let is_owned = self.dids.iter().any(|owned| owned.did == did);
        if self.sold.iter().any(|sold| sold == did) {
            return Err("did_in_use");
        }
        if !is_owned && !self.stock.holds(&format!("+1{did}")) {
            return Err("invalid_did");
        }
        if param("test") == "1" {
            return Ok(json!({}));
        }
        self.bought.push(DidPurchase {
            at: now,
            did: did.to_owned(),
            note: note.to_owned(),
        });
        if !is_owned {
            self.dids.push(Did {
                did: did.to_owned(),
                note: note.to_owned(),
                routing: param("routing").to_owned(),
                is_on: false,
                callback: None,
                ordered_at: now,
            });
        }
        Ok(json!({}))
    }

    pub(super) fn cancel(&mut self, request: &Request) -> Result<Value, &'static str> {
        let did = request.params.get("did").unwrap_or_default();
        let position = self.dids.iter().position(|owned| owned.did == did);
        self.dids.remove(position.ok_or("invalid_did")?);
        Ok(json!({}))
    }

    pub(super) fn set_sms(&mut self, request: &Request) -> Result<Value, &'static str> {
        let param = |name: &str| request.params.get(name).unwrap_or_default();
        let owned = self.dids.iter_mut().find(|owned| owned.did == param("did"));
        let owned = owned.ok_or("invalid_did")?;
        owned.is_on = param("enable") == "1";
        owned.callback = match param("url_callback_enable") {
            "1" => Some(param("url_callback").to_owned()),
            _ => None,
        };
        Ok(json!({}))
    }
}

/// What the sandbox's owner can do with them.
impl Sandbox {
    /// A number (E.164) is owned there, and this URL is told of what is written to it: as VoIP.ms takes it, with `{FROM}`,
    /// `{TO}`, `{MESSAGE}`, `{ID}` and `{TIMESTAMP}` in it. None: nobody is told.
    pub fn own_did(&self, number: &str, callback: Option<&str>) {
        let now = self.now();
        let mut world = self.shared.world();
        world.voipms.own(national(number), callback, now);
    }

    /// Another customer buys this number (E.164).
    pub fn sell_did(&self, number: &str) {
        let mut world = self.shared.world();
        world.voipms.sold.push(national(number).to_owned());
    }

    /// The numbers owned there now.
    pub fn dids(&self) -> Vec<Did> {
        self.shared.world().voipms.dids()
    }

    /// Every number ever paid for there, as often as it was.
    pub fn dids_ever_bought(&self) -> Vec<DidPurchase> {
        self.shared.world().voipms.bought()
    }
}

fn row(did: &Did) -> Value {
    let flag = |is: bool| if is { "1" } else { "0" };
    json!({
        "did": did.did,
        "description": "SAN FRANCISCO, CA",
        "routing": did.routing,
        "note": did.note,
        "billing_type": "1",
        "order_date": written(did.ordered_at),
        "sms_available": 1,
        "sms_enabled": flag(did.is_on),
        "sms_url_callback": did.callback.as_deref().unwrap_or_default(),
        "sms_url_callback_enabled": flag(did.callback.is_some()),
        "sms_url_callback_retry": flag(did.callback.is_some()),
    })
}

fn on_sale(digits: &str) -> Value {
    json!({
        "did": digits,
        "ratecenter": "SAN FRANCISCO",
        "state": "CA",
        "province_description": "California",
        "perminute_monthly": "0.85",
        "perminute_minute": "0.009",
        "perminute_setup": "0.40",
        "flat_monthly": "4.25",
        "flat_minute": "0.000",
        "flat_setup": "0.40",
        "sms": "1",
    })
}
