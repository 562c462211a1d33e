//! Twilio's REST API 2010-04-01, as far as it is used here.
//!
//! Every URL is built from the configured base and from ids; no URL that Twilio answers is followed
//! beyond its query.

mod on_sale;
mod outbound;
mod phone_log;
mod recordings;
mod shapes;
mod usage_records;

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tollkeeper_jobs::mask::mask;

pub use outbound::{Made, NewCall, NewMessage};
pub use recordings::Media;
pub use shapes::{Account, IncomingNumber, RECORDING, RECORDING_STATUS, TOLD_AGAIN, Urls};

use super::{
    ClientError,
    breaker::Breaker,
    call::{self, Answer},
    found,
    stripe::joined,
};
use crate::{clock::Clock, config::TwilioConfig};

const PROVIDER: &str = "twilio";
const API: &str = "2010-04-01";
const PAGES_MAX: usize = 1_000;

#[derive(Clone)]
pub struct Twilio {
    http: Client,
    breaker: Breaker,
    base: String,
    account_sid: String,
    /// None: nothing is set, and every call is refused before it leaves.
    auth_token: Option<SecretString>,
}

impl Twilio {
    pub fn new(config: &TwilioConfig) -> Twilio {
        Twilio {
            http: call::http(),
            breaker: Breaker::default(),
            base: config.api_base.trim_end_matches('/').to_owned(),
            account_sid: config.account_sid.clone(),
            auth_token: config.auth_tokens.first().cloned(),
        }
    }

    /// The account that owns the subaccounts.
    pub fn account_sid(&self) -> &str {
        &self.account_sid
    }

    /// Whether calls can be made: there is a token, and Twilio is not out as far as this process knows.
    pub fn is_available(&self) -> bool {
        self.auth_token.is_some() && self.breaker.is_closed(Clock::instant())
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

    /// With the main account's token, which is good for its subaccounts too.
    fn signed(&self, request: RequestBuilder) -> Result<RequestBuilder, ClientError> {
        let Some(auth_token) = &self.auth_token else {
            return Err(ClientError::Unreachable {
                provider: PROVIDER,
                why: "TWILIO_AUTH_TOKEN is not set".into(),
            });
        };
        Ok(request.basic_auth(&self.account_sid, Some(auth_token.expose_secret())))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let answer = call::exchange(PROVIDER, &self.breaker, self.signed(request)?).await?;
        tracing::debug!(
            status = answer.status,
            request_id = answer.header("twilio-request-id").map(mask),
            "twilio answered"
        );
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(refusal(&answer)),
        }
    }
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
        401 => return call::key_refused(PROVIDER, status, "", answer.retry_after()),
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
}
