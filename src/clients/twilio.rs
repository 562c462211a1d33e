//! Twilio's REST API 2010-04-01, as far as provisioning uses it.
//!
//! Every URL is built from the configured base and from ids; no URL that Twilio answers is followed
//! beyond its query.

use std::fmt;

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use tollkeeper_jobs::mask::mask;

use super::{
    ClientError,
    call::{self, Answer},
    found,
    stripe::joined,
};
use crate::config::TwilioConfig;

const PROVIDER: &str = "twilio";
const API: &str = "2010-04-01";
const PAGES_MAX: usize = 1_000;

#[derive(Clone)]
pub struct Twilio {
    http: Client,
    base: String,
    account_sid: String,
    /// None: nothing is set, and every call is refused before it leaves.
    auth_token: Option<SecretString>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    pub sid: String,
    #[serde(default)]
    pub friendly_name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    #[serde(default, deserialize_with = "secret")]
    pub auth_token: Option<SecretString>,
    #[serde(default)]
    pub owner_account_sid: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct IncomingNumber {
    pub sid: String,
    pub phone_number: String,
    #[serde(default)]
    pub friendly_name: String,
    #[serde(default)]
    pub capabilities: Value,
    #[serde(default)]
    pub voice_url: Option<String>,
    #[serde(default)]
    pub voice_fallback_url: Option<String>,
    #[serde(default)]
    pub sms_url: Option<String>,
    #[serde(default)]
    pub sms_fallback_url: Option<String>,
    #[serde(default)]
    pub status_callback: Option<String>,
}

/// Without the number, so that it gets into no log by accident.
impl fmt::Debug for IncomingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncomingNumber({})", self.sid)
    }
}

/// Where a number sends what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    pub voice: String,
    pub voice_fallback: String,
    pub sms: String,
    pub sms_fallback: String,
    pub status: String,
}

impl Urls {
    /// The account's own addresses under our public base.
    pub fn of_account(public_base_url: &str, account_id: &str) -> Urls {
        let url = |path: &[&str]| {
            let path = [&["api", "twilio"], path, &[account_id]].concat();
            joined(public_base_url.trim_end_matches('/'), &path)
        };
        Urls {
            voice: url(&["voice"]),
            voice_fallback: url(&["voice", "fallback"]),
            sms: url(&["sms"]),
            sms_fallback: url(&["sms", "fallback"]),
            status: url(&["status"]),
        }
    }

    /// Whether the number sends everything there.
    pub fn are_set_on(&self, number: &IncomingNumber) -> bool {
        let is = |set: &Option<String>, wanted: &String| set.as_ref() == Some(wanted);
        is(&number.voice_url, &self.voice)
            && is(&number.voice_fallback_url, &self.voice_fallback)
            && is(&number.sms_url, &self.sms)
            && is(&number.sms_fallback_url, &self.sms_fallback)
            && is(&number.status_callback, &self.status)
    }

    fn form(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("VoiceUrl", &self.voice),
            ("VoiceMethod", "POST"),
            ("VoiceFallbackUrl", &self.voice_fallback),
            ("VoiceFallbackMethod", "POST"),
            ("SmsUrl", &self.sms),
            ("SmsMethod", "POST"),
            ("SmsFallbackUrl", &self.sms_fallback),
            ("SmsFallbackMethod", "POST"),
            ("StatusCallback", &self.status),
            ("StatusCallbackMethod", "POST"),
        ]
    }
}

impl Twilio {
    pub fn new(config: &TwilioConfig) -> Twilio {
        Twilio {
            http: call::http(),
            base: config.api_base.trim_end_matches('/').to_owned(),
            account_sid: config.account_sid.clone(),
            auth_token: config.auth_tokens.first().cloned(),
        }
    }

    /// The account that owns the subaccounts.
    pub fn account_sid(&self) -> &str {
        &self.account_sid
    }

    pub async fn create_account(&self, friendly_name: &str) -> Result<Account, ClientError> {
        let form = [("FriendlyName", friendly_name)];
        self.post(&[API, "Accounts.json"], &form).await
    }

    /// An account with its token. None: Twilio knows no such SID.
    pub async fn account(&self, sid: &str) -> Result<Option<Account>, ClientError> {
        found(self.get(&[API, "Accounts", &json(sid)], &[]).await)
    }

    /// Set `active`, `suspended` or `closed`.
    pub async fn set_account_status(
        &self,
        sid: &str,
        status: &str,
    ) -> Result<Account, ClientError> {
        let form = [("Status", status)];
        self.post(&[API, "Accounts", &json(sid)], &form).await
    }

    /// Every account of that name, closed ones too, in Twilio's order.
    pub async fn accounts_named(&self, friendly_name: &str) -> Result<Vec<Account>, ClientError> {
        let query = [("FriendlyName", friendly_name), ("PageSize", "1000")];
        let mut accounts: Vec<Account> = self
            .all(&[API, "Accounts.json"], &query, "accounts")
            .await?;
        accounts.retain(|account| account.friendly_name == friendly_name);
        Ok(accounts)
    }

    /// Every account we own, our own one included.
    pub async fn accounts(&self) -> Result<Vec<Account>, ClientError> {
        let query = [("PageSize", "1000")];
        self.all(&[API, "Accounts.json"], &query, "accounts").await
    }

    /// Local numbers on sale that take calls and text messages, as E.164.
    pub async fn numbers_on_sale(
        &self,
        account: &str,
        country: &str,
        area_code: Option<&str>,
    ) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Page {
            available_phone_numbers: Vec<OnSale>,
        }
        #[derive(Deserialize)]
        struct OnSale {
            phone_number: String,
        }
        let mut query = vec![
            ("VoiceEnabled", "true"),
            ("SmsEnabled", "true"),
            ("PageSize", "50"),
        ];
        query.extend(area_code.map(|code| ("AreaCode", code)));
        let path = [
            API,
            "Accounts",
            account,
            "AvailablePhoneNumbers",
            country,
            "Local.json",
        ];
        let page: Page = self.get(&path, &query).await?;
        Ok(page
            .available_phone_numbers
            .into_iter()
            .map(|number| number.phone_number)
            .collect())
    }

    /// Buy exactly this number. Twilio answers 201 for a number the account has already, too.
    pub async fn buy_number(
        &self,
        account: &str,
        phone_number: &str,
        friendly_name: &str,
        urls: &Urls,
    ) -> Result<IncomingNumber, ClientError> {
        let mut form = vec![
            ("PhoneNumber", phone_number),
            ("FriendlyName", friendly_name),
        ];
        form.extend(urls.form());
        let path = [API, "Accounts", account, "IncomingPhoneNumbers.json"];
        self.post(&path, &form).await
    }

    /// The account's number of exactly these digits.
    pub async fn number_of(
        &self,
        account: &str,
        phone_number: &str,
    ) -> Result<Option<IncomingNumber>, ClientError> {
        let query = [("PhoneNumber", phone_number), ("PageSize", "1000")];
        let path = [API, "Accounts", account, "IncomingPhoneNumbers.json"];
        let numbers: Vec<IncomingNumber> =
            self.all(&path, &query, "incoming_phone_numbers").await?;
        Ok(numbers
            .into_iter()
            .find(|number| number.phone_number == phone_number))
    }

    /// Every number of the account.
    pub async fn numbers(&self, account: &str) -> Result<Vec<IncomingNumber>, ClientError> {
        let path = [API, "Accounts", account, "IncomingPhoneNumbers.json"];
        self.all(&path, &[("PageSize", "1000")], "incoming_phone_numbers")
            .await
    }

    pub async fn number(
        &self,
        account: &str,
        sid: &str,
    ) -> Result<Option<IncomingNumber>, ClientError> {
        let path = [API, "Accounts", account, "IncomingPhoneNumbers", &json(sid)];
        found(self.get(&path, &[]).await)
    }

    pub async fn set_number_urls(
        &self,
        account: &str,
        sid: &str,
        urls: &Urls,
    ) -> Result<IncomingNumber, ClientError> {
        let path = [API, "Accounts", account, "IncomingPhoneNumbers", &json(sid)];
        self.post(&path, &urls.form()).await
    }

    /// Give a number back. One that is gone already counts as given back.
    pub async fn release_number(&self, account: &str, sid: &str) -> Result<(), ClientError> {
        let path = [API, "Accounts", account, "IncomingPhoneNumbers", &json(sid)];
        let request = self.http.delete(joined(&self.base, &path));
        found(self.send(request).await).map(|_| ())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let request = self.http.get(joined(&self.base, path)).query(query);
        call::parse(PROVIDER, &self.send(request).await?.body)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let request = self.http.post(joined(&self.base, path)).form(form);
        call::parse(PROVIDER, &self.send(request).await?.body)
    }

    /// Every page of a list. Of the next page's address only the query is taken.
    async fn all<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        field: &str,
    ) -> Result<Vec<T>, ClientError> {
        let mut rows = Vec::new();
        let mut page: Value = self.get(path, query).await?;
        for _ in 0..PAGES_MAX {
            let listed = page[field].take();
            rows.extend(serde_json::from_value::<Vec<T>>(listed).map_err(|_| {
                call::open(
                    PROVIDER,
                    None,
                    format!("its list of {field} cannot be read"),
                )
            })?);
            let next = page["next_page_uri"]
                .as_str()
                .and_then(|uri| uri.split_once('?'));
            let Some((_, query)) = next else {
                return Ok(rows);
            };
            let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect();
            let request = self.http.get(joined(&self.base, path)).query(&query);
            page = call::parse(PROVIDER, &self.send(request).await?.body)?;
        }
        Err(call::open(
            PROVIDER,
            None,
            format!("its list of {field} does not end"),
        ))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let Some(auth_token) = &self.auth_token else {
            return Err(ClientError::Unreachable {
                provider: PROVIDER,
                why: "TWILIO_AUTH_TOKEN is not set".into(),
            });
        };
        let request = request.basic_auth(&self.account_sid, Some(auth_token.expose_secret()));
        let answer = call::exchange(PROVIDER, request).await?;
        tracing::debug!(
            status = answer.status,
            request_id = answer.header("twilio-request-id"),
            "twilio answered"
        );
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(refusal(&answer)),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

fn json(sid: &str) -> String {
    format!("{sid}.json")
}

/// What a status that is no success means. 429 was never processed; 5xx may have been.
fn refusal(answer: &Answer) -> ClientError {
    #[derive(Deserialize, Default)]
    struct Body {
        #[serde(default)]
        code: Option<u32>,
        #[serde(default)]
        message: Option<String>,
    }
    let status = answer.status;
    match status {
        429 => {
            return ClientError::TryLater {
                provider: PROVIDER,
                status,
                after: answer.retry_after(),
            };
        }
        500.. => return call::open(PROVIDER, Some(status), format!("status {status}")),
        _ => {}
    }
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    ClientError::Refused {
        provider: PROVIDER,
        status,
        code: body.code.map(|code| code.to_string()).unwrap_or_default(),
        message: mask(&body.message.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> ClientError {
        refusal(&Answer {
            status,
            headers: Default::default(),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn a_status_says_what_to_do_next() {
        assert!(matches!(answered(429, "{}"), ClientError::TryLater { .. }));
        assert!(matches!(answered(500, "{}"), ClientError::Unknown { .. }));
        assert!(matches!(
            answered(503, "<html>"),
            ClientError::Unknown { .. }
        ));
        assert!(answered(404, r#"{"code":20404}"#).is_not_found());
        let taken = answered(
            400,
            r#"{"code":21422,"message":"+14155550123 is not available"}"#,
        );
        assert_eq!(
            taken.to_string(),
            "twilio refused (status 400, code 21422): +*** is not available"
        );
    }

    #[test]
    fn each_account_has_addresses_of_its_own() {
        let urls = Urls::of_account("https://toll.example/", "a/b c");
        assert_eq!(
            urls.voice,
            "https://toll.example/api/twilio/voice/a%2Fb%20c"
        );
        assert_eq!(
            urls.sms_fallback,
            "https://toll.example/api/twilio/sms/fallback/a%2Fb%20c"
        );
    }
}
