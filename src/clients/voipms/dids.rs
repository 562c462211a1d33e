//! The numbers of our account at VoIP.ms, and those on sale there. A number has no id there but its ten digits.

use std::fmt;

use serde_json::{Value, json};
use tollkeeper_jobs::telephony::voipms::{as_stored, did};

use super::{PROVIDER, Voipms, refused, text};
use crate::clients::{
    ClientError, call,
    on_sale::{NumberKind, OnSale, Wanted},
};

/// For so many seconds a call rings, were it put through.
const DIAL_TIME: &str = "60";
/// By the minute: nobody calls these numbers for long.
const PER_MINUTE: &str = "1";

/// A number of our account.
#[derive(Clone, PartialEq, Eq)]
pub struct Did {
    /// E.164.
    pub phone_number: String,
    /// What we wrote on it when we ordered it; else anything.
    pub note: String,
    /// Whether messages can be switched on.
    pub has_messages: bool,
    /// Whether they are.
    pub is_on: bool,
    /// The URL that is told of them; it holds a secret. None: nobody is told.
    pub callback: Option<String>,
}

/// Without the number and the secret, so that they get into no log by accident.
impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Did({})", self.note)
    }
}

impl Did {
    /// What it is known by there.
    pub fn number_ref(&self) -> &str {
        did(&self.phone_number).unwrap_or(&self.phone_number)
    }

    /// In Twilio's words. No call is answered there, and pictures come in and do not leave.
    pub fn capabilities(&self) -> Value {
        capabilities(self.has_messages)
    }
}

/// What a number there can do for its user.
pub fn capabilities(has_messages: bool) -> Value {
    json!({ "voice": false, "SMS": has_messages, "MMS": false })
}

impl Voipms {
    /// Whether numbers can be ordered: what an order needs is set.
    pub fn sells(&self) -> bool {
        self.pop.is_some()
    }

    /// A number of our account. None: it is not ours.
    pub async fn did(&self, phone_number: &str) -> Result<Option<Did>, ClientError> {
        let Some(digits) = did(phone_number) else {
            return Ok(None);
        };
        let form = [("method", "getDIDsInfo"), ("did", digits)];
        let mut listed = self.list(&form).await?.into_iter();
        // Whatever it was asked for.
        Ok(listed.find(|listed| listed.phone_number == phone_number))
    }

    /// All of them.
    pub async fn dids(&self) -> Result<Vec<Did>, ClientError> {
        self.list(&[("method", "getDIDsInfo")]).await
    }

    async fn list(&self, form: &[(&str, &str)]) -> Result<Vec<Did>, ClientError> {
        let rows = self.rows(form).await?;
        let listed = rows.iter().map(listed).collect::<Option<Vec<Did>>>();
        listed.ok_or_else(|| call::open(PROVIDER, None, "its list of numbers cannot be read"))
    }

    /// Local numbers on sale that take messages. It looks for digits and letters in a row only: what stands between them
    /// is looked at here.
    pub async fn on_sale(&self, wanted: &Wanted<'_>) -> Result<Vec<OnSale>, ClientError> {
        let method = match wanted.country {
            "US" => "searchDIDsUSA",
            "CA" => "searchDIDsCAN",
            _ => return Ok(Vec::new()),
        };
        let pattern = wanted.contains.unwrap_or_default().trim_start_matches('+');
        let longest = pattern.split('*').max_by_key(|part| part.len());
        let (kind, query) = match (wanted.area_code, longest) {
            (Some(area_code), _) => ("starts", area_code),
            (None, Some(part)) if !part.is_empty() => ("contains", part),
            _ => return Ok(Vec::new()),
        };
        if wanted.kind != NumberKind::Local {
            return Ok(Vec::new());
        }
        let form = [("method", method), ("type", kind), ("query", query)];
        let rows = self.rows(&form).await?;
        let found = rows.iter().filter_map(on_sale);
        let found = found.filter(|found| contains(&found.phone_number, pattern));
        Ok(found.take(wanted.count.into()).collect())
    }

    /// Order exactly this number, and write that on it. Asked twice, it is ordered twice for all we know: it takes no key.
    pub async fn order_did(&self, phone_number: &str, note: &str) -> Result<(), ClientError> {
        let digits = did(phone_number).ok_or_else(|| refused(0, "invalid_did"))?;
        let pop = self.pop.ok_or_else(|| ClientError::Unreachable {
            provider: PROVIDER,
            why: "VOIPMS_POP is not set".into(),
        })?;
        let pop = pop.to_string();
        let form = [
            ("method", "orderDID"),
            ("did", digits),
            ("routing", &self.routing),
            ("pop", &pop),
            ("dialtime", DIAL_TIME),
            ("cnam", "0"),
            ("billing_type", PER_MINUTE),
            ("note", note),
        ];
        self.call(&form).await.map(|_| ())
    }

    /// Give a number back. One that is not ours is given back already.
    pub async fn cancel_did(&self, phone_number: &str) -> Result<(), ClientError> {
        let digits = did(phone_number).ok_or_else(|| refused(0, "invalid_did"))?;
        let form = [("method", "cancelDID"), ("did", digits), ("portout", "0")];
        match self.call(&form).await {
            Err(error) if is_none_of_ours(&error) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// Switch messages on, and have this URL told of them until it answers `ok`; None: nobody is told.
    pub async fn set_messages(
        &self,
        phone_number: &str,
        callback: Option<&str>,
    ) -> Result<(), ClientError> {
        let digits = did(phone_number).ok_or_else(|| refused(0, "invalid_did"))?;
        let is_told = if callback.is_some() { "1" } else { "0" };
        let form = [
            ("method", "setSMS"),
            ("did", digits),
            ("enable", "1"),
            ("email_enabled", "0"),
            ("sms_forward_enable", "0"),
            ("url_callback_enable", is_told),
            ("url_callback", callback.unwrap_or_default()),
            ("url_callback_retry", is_told),
        ];
        self.call(&form).await.map(|_| ())
    }

    /// The rows of a list of numbers; none is a refusal of a name of its own.
    async fn rows(&self, form: &[(&str, &str)]) -> Result<Vec<Value>, ClientError> {
        let mut answer = match self.call(form).await {
            Err(error) if is_none_of_ours(&error) => return Ok(Vec::new()),
            answer => answer?,
        };
        match answer["dids"].take() {
            Value::Array(rows) => Ok(rows),
            _ => Err(call::open(PROVIDER, None, "it lists no numbers")),
        }
    }
}

/// Of a number that we know to be one: there is none such, or it is not ours.
fn is_none_of_ours(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { code, .. } if matches!(&**code, "no_did" | "invalid_did"))
}

/// A row of the list of our numbers. None: it is none that can be read.
fn listed(row: &Value) -> Option<Did> {
    let is = |name: &str| text(&row[name]).is_some_and(|value| value == "1");
    let callback = text(&row["sms_url_callback"]).filter(|_| is("sms_url_callback_enabled"));
    Some(Did {
        phone_number: as_stored(&text(&row["did"])?),
        note: text(&row["note"]).unwrap_or_default(),
        has_messages: is("sms_available"),
        is_on: is("sms_enabled"),
        callback: callback.filter(|url| !url.is_empty()),
    })
}

/// A row of what is on sale. None: it is of no use here.
fn on_sale(row: &Value) -> Option<OnSale> {
    let has_messages = text(&row["sms"]).is_some_and(|value| value == "1");
    let phone_number = as_stored(&text(&row["did"])?);
    let digits = did(&phone_number).filter(|_| has_messages)?;
    let friendly_name = format!("({}) {}-{}", &digits[..3], &digits[3..6], &digits[6..]);
    let region = text(&row["state"]).or_else(|| text(&row["province"]));
    Some(OnSale {
        friendly_name: Some(friendly_name),
        locality: text(&row["ratecenter"]),
        region,
        postal_code: None,
        capabilities: capabilities(has_messages),
        phone_number,
    })
}

/// Whether the digits and letters occur in the number, `*` standing for any one digit; a letter is its key's digit.
fn contains(phone_number: &str, pattern: &str) -> bool {
    let wish: Vec<u8> = pattern.bytes().map(key).collect();
    let digits = phone_number.trim_start_matches('+').as_bytes();
    let fits = |window: &[u8]| {
        let mut pairs = window.iter().zip(&wish);
        pairs.all(|(digit, wish)| *wish == b'*' || digit == wish)
    };
    wish.is_empty() || digits.windows(wish.len()).any(fits)
}

/// The key of a telephone that a letter is on.
fn key(letter: u8) -> u8 {
    match letter.to_ascii_lowercase() {
        b'a'..=b'c' => b'2',
        b'd'..=b'f' => b'3',
        b'g'..=b'i' => b'4',
        b'j'..=b'l' => b'5',
        b'm'..=b'o' => b'6',
        b'p'..=b's' => b'7',
        b't'..=b'v' => b'8',
        b'w'..=b'z' => b'9',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_looked_for_in_the_digits() {
        for (pattern, is_there) in [
            ("", true),
            ("415*", true),
            ("555*1", true),
            ("0*2", false),
            ("taxi", false),
            ("KKJ0", true),
        ] {
            assert_eq!(contains("+14155550100", pattern), is_there, "{pattern}");
        }
    }

    #[test]
    fn its_lists_are_read_as_it_writes_them() {
        let row = json!({
            "did": "4155550100", "note": "ord:x", "sms_available": 1, "sms_enabled": "1",
            "sms_url_callback": "https://hooks.test/secret", "sms_url_callback_enabled": "0",
        });
        let did = listed(&row).unwrap();
        assert_eq!(did.phone_number, "+14155550100");
        assert!(did.has_messages && did.is_on && did.callback.is_none());
        assert_eq!(format!("{did:?}"), "Did(ord:x)");
        let on =
            json!({ "did": 4155550100u64, "sms": 1, "ratecenter": "SAN FRANCISCO", "state": "CA" });
        let found = on_sale(&on).unwrap();
        assert_eq!(found.friendly_name.as_deref(), Some("(415) 555-0100"));
        assert_eq!(found.region.as_deref(), Some("CA"));
        // Of no use: nothing is written from there.
        assert!(on_sale(&json!({ "did": "4155550100", "sms": "0" })).is_none());
    }
}
