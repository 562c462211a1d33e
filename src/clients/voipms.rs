//! VoIP.ms' REST API, as far as it is used here.
//!
//! One address for all methods, which takes everything as a form: credentials never stand in a URL. It answers 200 to
//! refusals too; what it says is in the word `status`.

mod dids;

use chrono::NaiveDate;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tollkeeper_jobs::telephony::voipms::{Listed, as_stored, did, time};

use super::{
    ClientError,
    breaker::Breaker,
    call::{self, Answer},
    pace::Pace,
};
use crate::{clock::Clock, config::VoipmsApiConfig};

pub use dids::{Did, capabilities};

pub const PROVIDER: &str = "voipms";
/// What a callback's query is made of: VoIP.ms puts the message in the place of each word in braces.
pub const CALLBACK_FIELDS: &str =
    "id={ID}&ts={TIMESTAMP}&from={FROM}&to={TO}&message={MESSAGE}&media={MEDIA}";
/// More than there ever are; without it there would be few.
const ROWS_MAX: &str = "1000000";
/// The offset that its lists are asked for with, which it takes for New York's time, summer and winter.
const TIME_ZONE: &str = "-5";

#[derive(Clone)]
pub struct Voipms {
    http: Client,
    breaker: Breaker,
    pace: Pace,
    url: String,
    username: String,
    password: SecretString,
    pop: Option<u32>,
    routing: String,
}

impl Voipms {
    pub fn new(config: &VoipmsApiConfig, pace: Pace) -> Voipms {
        Voipms {
            http: call::http(),
            breaker: Breaker::default(),
            pace,
            url: config.url.clone(),
            username: config.username.clone(),
            password: config.password.clone(),
            pop: config.pop,
            routing: config.routing.clone(),
        }
    }

    /// Whether it is not out as far as this process knows.
    pub fn is_available(&self) -> bool {
        self.breaker.is_closed(Clock::instant())
    }

    /// The messages of a number on these days (New York's, both included) by their time, with pictures and without. None
    /// of a number that VoIP.ms can have none of.
    pub async fn messages(
        &self,
        number: &str,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<Vec<Listed>, ClientError> {
        let Some(did) = did(number) else {
            return Ok(Vec::new());
        };
        let (first, last) = (first.to_string(), last.to_string());
        // Asked so, it lists those without pictures too.
        let asked = [
            ("method", "getMMS"),
            ("all_messages", "1"),
            ("did", did),
            ("from", &first),
            ("to", &last),
            ("timezone", TIME_ZONE),
            ("limit", ROWS_MAX),
        ];
        let answer = match self.call(&asked).await {
            Err(error) if is_empty(&error) => return Ok(Vec::new()),
            answer => answer?,
        };
        let rows = answer["sms"].as_array().map(Vec::as_slice);
        let listed = rows.and_then(|rows| rows.iter().map(listed).collect());
        let mut listed: Vec<Listed> = listed
            .ok_or_else(|| call::open(PROVIDER, None, "its list of messages cannot be read"))?;
        // Whatever it was asked for: of another number they are somebody else's.
        listed.retain(|listed| listed.ours == number);
        listed.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        Ok(listed)
    }

    /// Send a message. Asked twice, it is sent twice. Answers its id.
    pub async fn send_message(
        &self,
        from: &str,
        to: &str,
        text: &str,
    ) -> Result<String, ClientError> {
        let (Some(from), Some(to)) = (did(from), did(to)) else {
            return Err(refused(0, "invalid_dst"));
        };
        let asked = [
            ("method", "sendSMS"),
            ("did", from),
            ("dst", to),
            ("message", text),
        ];
        let answer = self.call(&asked).await?;
        self::text(&answer["sms"])
            .ok_or_else(|| call::open(PROVIDER, None, "it says no id of the message"))
    }

    /// Ask, and read the answer of a success.
    async fn call(&self, form: &[(&str, &str)]) -> Result<Value, ClientError> {
        let credentials = [
            ("api_username", self.username.as_str()),
            ("api_password", self.password.expose_secret()),
        ];
        let form = [&credentials[..], form].concat();
        let request = self.http.post(&self.url).form(&form);
        self.pace.wait(PROVIDER).await?;
        read(&call::exchange(PROVIDER, &self.breaker, request).await?)
    }
}

/// What an answer means. The word decides, for the status is 200 either way.
fn read(answer: &Answer) -> Result<Value, ClientError> {
    let status = answer.status;
    match status {
        200..=299 => {}
        401 | 403 => {
            return Err(call::key_refused(
                PROVIDER,
                status,
                "",
                answer.retry_after(),
            ));
        }
        429 => {
            return Err(ClientError::TryLater {
                provider: PROVIDER,
                status,
                after: answer.retry_after(),
            });
        }
        500.. => {
            return Err(call::open(
                PROVIDER,
                Some(status),
                format!("status {status}"),
            ));
        }
        _ => return Err(refused(status, "")),
    }
    let said: Value = call::parse(PROVIDER, &answer.body)?;
    match said["status"].as_str() {
        Some("success") => Ok(said),
        // Of our account, not of this request: what is repaired there must not have killed every job.
        Some(
            word @ ("missing_credentials"
            | "invalid_credentials"
            | "api_not_enabled"
            | "ip_not_enabled"),
        ) => Err(call::key_refused(PROVIDER, status, word, None)),
        Some("method_maintenance") => Err(ClientError::TryLater {
            provider: PROVIDER,
            status,
            after: None,
        }),
        Some(word @ ("sms_failed" | "order_failed" | "cancel_failed")) => {
            Err(call::open(PROVIDER, Some(status), word))
        }
        Some(word) => Err(refused(status, word)),
        None => Err(call::open(PROVIDER, Some(status), "it says no status")),
    }
}

/// With its word as the code, which says it all.
fn refused(status: u16, word: &str) -> ClientError {
    let is_word = word.len() <= 64
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    ClientError::Refused {
        provider: PROVIDER,
        status,
        code: if is_word { word } else { "unknown" }.to_owned(),
        message: String::new(),
    }
}

/// A list without rows is a refusal of a name of its own.
fn is_empty(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { code, .. } if matches!(&**code, "no_sms" | "no_messages"))
}

/// A row of the list of messages. None: it is none that can be read.
fn listed(row: &Value) -> Option<Listed> {
    let is_media = |name: &&&str| text(&row[**name]).is_some_and(|url| !url.is_empty());
    let media = ["col_media1", "col_media2", "col_media3"];
    Some(Listed {
        id: text(&row["id"])?,
        is_inbound: match &*text(&row["type"])? {
            "1" => true,
            "0" => false,
            _ => return None,
        },
        ours: as_stored(&text(&row["did"])?),
        theirs: as_stored(&text(&row["contact"])?),
        text: text(&row["message"]).unwrap_or_default().replace('\0', ""),
        media: media.iter().filter(is_media).count() as u32,
        at: time(&text(&row["date"])?)?,
    })
}

/// It writes numbers as texts, mostly.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Result<Value, ClientError> {
        read(&Answer {
            status,
            headers: Default::default(),
            body: body.as_bytes().to_vec(),
        })
    }

    fn word(word: &str) -> ClientError {
        said(200, &format!(r#"{{"status":"{word}"}}"#)).unwrap_err()
    }

    #[test]
    fn the_word_says_what_to_do_next() {
        assert!(said(200, r#"{"status":"success","sms":1}"#).is_ok());
        for passing in [
            "invalid_credentials",
            "ip_not_enabled",
            "method_maintenance",
        ] {
            assert!(matches!(word(passing), ClientError::TryLater { .. }));
        }
        for open in ["sms_failed", "order_failed", "cancel_failed"] {
            assert!(matches!(word(open), ClientError::Unknown { .. }));
        }
        assert!(is_empty(&word("no_sms")) && !is_empty(&word("no_did")));
        assert_eq!(
            word("sms_toolong").to_string(),
            "voipms refused (status 200, code sms_toolong): "
        );
        // What is no word of its own is not passed on.
        assert!(!word("no route to +14155550123").to_string().contains("415"));
        for (status, body) in [(500, ""), (200, "<html>"), (200, "{}")] {
            let error = said(status, body).unwrap_err();
            assert!(matches!(error, ClientError::Unknown { .. }), "{body}");
        }
        assert!(matches!(said(429, ""), Err(ClientError::TryLater { .. })));
    }
}
