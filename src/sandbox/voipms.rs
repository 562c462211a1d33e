//! A VoIP.ms: the numbers of one account, and what was written to them. Every answer is 200, and its word says what it is;
//! its lists are in the time of New York.

mod dids;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::New_York;
use serde_json::{Value, json};

pub use self::dids::{Did, DidPurchase};
use super::{
    Sandbox,
    operate::client,
    twilio::Stock,
    wire::{Reply, Request},
};

/// A message, come in or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub id: String,
    /// Ten digits, as the other one.
    pub did: String,
    pub contact: String,
    pub is_inbound: bool,
    pub text: String,
    pub at: DateTime<Utc>,
}

pub(super) struct Voipms {
    username: String,
    password: String,
    stock: Stock,
    /// The numbers owned now.
    dids: Vec<Did>,
    /// Every number ever paid for.
    bought: Vec<DidPurchase>,
    /// What other customers have.
    sold: Vec<String>,
    texts: Vec<Text>,
}

impl Voipms {
    pub fn new(username: &str, password: &str, stock: Stock) -> Voipms {
        Voipms {
            username: username.to_owned(),
            password: password.to_owned(),
            stock,
            dids: Vec::new(),
            bought: Vec::new(),
            sold: Vec::new(),
            texts: Vec::new(),
        }
    }

    pub fn answer(&mut self, request: &Request, now: DateTime<Utc>) -> Reply {
        let param = |name: &str| request.params.get(name).unwrap_or_default();
        let is_ours = (param("api_username"), param("api_password"))
            == (self.username.as_str(), self.password.as_str());
        let answer = match param("method") {
            _ if !is_ours => Err("invalid_credentials"),
            "getSMS" | "getMMS" => self.list(request),
            "sendSMS" => self.send(request, now),
            "getDIDsInfo" => self.list_dids(request),
            "searchDIDsUSA" => self.search(request, "US"),
            "searchDIDsCAN" => self.search(request, "CA"),
            "orderDID" => self.order(request, now),
            "cancelDID" => self.cancel(request),
            "setSMS" => self.set_sms(request),
            "" => Err("missing_method"),
            _ => Err("invalid_method"),
        };
        answer.map_or_else(word, |mut body| {
            body["status"] = "success".into();
            Reply::done(200, body)
        })
    }

    /// Somebody wrote to a number. None: it is not owned.
    pub fn take_text(
        &mut self,
        did: &str,
        contact: &str,
        text: &str,
        now: DateTime<Utc>,
    ) -> Option<Text> {
        self.dids.iter().find(|owned| owned.did == did)?;
        Some(self.note(did, contact, true, text, now))
    }

    /// Each request sends another one: there is no key.
    fn send(&mut self, request: &Request, now: DateTime<Utc>) -> Result<Value, &'static str> {
        let param = |name: &str| request.params.get(name).unwrap_or_default();
        let (did, dst, text) = (param("did"), param("dst"), param("message"));
        let owned = self.dids.iter().find(|owned| owned.did == did);
        if !owned.ok_or("invalid_did")?.is_on {
            return Err("sms_failed");
        }
        if dst.len() != 10 || !dst.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("invalid_dst");
        }
        match text.len() {
            0 => Err("missing_sms"),
            1..=160 => {
                let sent = self.note(did, dst, false, text, now);
                Ok(json!({ "sms": sent.id.parse::<u64>().unwrap_or_default() }))
            }
            _ => Err("sms_toolong"),
        }
    }

    fn note(
        &mut self,
        did: &str,
        contact: &str,
        is_inbound: bool,
        text: &str,
        now: DateTime<Utc>,
    ) -> Text {
        let text = Text {
            id: (10_001 + self.texts.len()).to_string(),
            did: did.to_owned(),
            contact: contact.to_owned(),
            is_inbound,
            text: text.to_owned(),
            at: now,
        };
        self.texts.push(text.clone());
        text
    }

    /// Every message there was, come in or sent, oldest first.
    pub fn texts(&self) -> Vec<Text> {
        self.texts.clone()
    }

    /// The URL that is told of it. None: nobody is told.
    pub fn callback(&self, text: &Text) -> Option<String> {
        let owned = self.dids.iter().find(|owned| owned.did == text.did)?;
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let filled = [
            ("{ID}", &text.id),
            ("{TIMESTAMP}", &written(text.at)),
            ("{FROM}", &text.contact),
            ("{TO}", &text.did),
            ("{MESSAGE}", &text.text),
            ("{MEDIA}", &String::new()),
        ];
        let template = owned.callback.clone()?;
        Some(filled.into_iter().fold(template, |url, (name, value)| {
            let value: String = encoded(value);
            url.replace(name, &value)
        }))
    }

    fn list(&self, request: &Request) -> Result<Value, &'static str> {
        let param = |name: &str| request.params.get(name).filter(|value| !value.is_empty());
        let day = |name| {
            let text = param(name).ok_or("invalid_date")?;
            text.parse::<NaiveDate>().map_err(|_| "invalid_date")
        };
        let (first, last) = (day("from")?, day("to")?);
        if last < first || (last - first).num_days() > 92 {
            return Err("invalid_daterange");
        }
        let is_wanted = |text: &&Text| {
            (first..=last).contains(&text.at.with_timezone(&New_York).date_naive())
                && param("did").is_none_or(|did| did == text.did)
                && param("contact").is_none_or(|contact| contact == text.contact)
                && param("type").is_none_or(|kind| kind == kind_of(text))
        };
        let rows: Vec<Value> = self.texts.iter().filter(is_wanted).map(row).collect();
        match rows.is_empty() {
            true => Err("no_sms"),
            false => Ok(json!({ "sms": rows })),
        }
    }
}

/// What the sandbox's owner can do with it.
impl Sandbox {
    /// Somebody wrote to a number there: it is in the list of messages. None: nobody owns that number.
    pub fn take_text(&self, to: &str, from: &str, text: &str) -> Option<Text> {
        let now = self.now();
        let mut world = self.shared.world();
        let (to, from) = (national(to), national(from));
        world.voipms.take_text(to, from, text, now)
    }

    /// Every message there was, come in or sent, oldest first.
    pub fn texts(&self) -> Vec<Text> {
        self.shared.world().voipms.texts()
    }

    /// The number's URL is told of a message, as often as this is asked for. Whether it answered `ok`.
    pub async fn tell_of_text(&self, text: &Text) -> bool {
        let url = self.shared.world().voipms.callback(text);
        let Some(url) = url else {
            return false;
        };
        let answer = client().get(url).send().await;
        let Ok(answer) = answer else {
            return false;
        };
        answer.text().await.is_ok_and(|said| said == "ok")
    }
}

/// As VoIP.ms writes it.
fn national(number: &str) -> &str {
    number.strip_prefix("+1").unwrap_or(number)
}

/// An answer that says nothing but this; nothing was carried out.
pub(super) fn word(word: &str) -> Reply {
    Reply::refused(200, json!({ "status": word }))
}

fn kind_of(text: &Text) -> &'static str {
    match text.is_inbound {
        true => "1",
        false => "0",
    }
}

fn written(at: DateTime<Utc>) -> String {
    let local = at.with_timezone(&New_York);
    local.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn row(text: &Text) -> Value {
    json!({
        "id": text.id,
        "date": written(text.at),
        "type": kind_of(text),
        "did": text.did,
        "contact": text.contact,
        "message": text.text,
        "col_media1": "",
        "col_media2": "",
        "col_media3": "",
    })
}
