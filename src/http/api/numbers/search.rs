//! Numbers on sale, as their provider tells it at this moment. No connection to the database is held meanwhile.

use std::time::Duration;

use poem::http::StatusCode;
use tokio::time::timeout;
use tollkeeper_jobs::{
    mask::mask, provision_number::is_about_the_candidate, telephony::outbound::Carrier,
};

use super::{Shared, unpaid};
use crate::{
    clients::{
        ClientError,
        on_sale::{NumberKind, OnSale, Wanted},
    },
    http::{auth::AccountId, problem::Problem},
};

/// A person waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
const PATTERN_LENGTH_MAX: usize = 16;

/// What is looked for; as the request has it.
#[derive(Debug, Default)]
pub struct Search {
    /// Who sells them; Twilio when left out.
    pub provider: Option<String>,
    /// The country in which numbers are bought, when left out.
    pub country: Option<String>,
    /// local, tollfree or mobile; local when left out.
    pub kind: Option<String>,
    pub area_code: Option<String>,
    /// Digits and letters somewhere in the number, `*` for any one of them.
    pub pattern: Option<String>,
    pub count: u16,
}

impl Shared {
    /// Whom the numbers would be for decides whether they may look; nothing is reserved.
    pub async fn search_numbers(
        &self,
        account: &AccountId,
        search: Search,
    ) -> Result<Vec<OnSale>, Problem> {
        let carrier = super::carrier(search.provider.as_deref())?;
        let kind = kind(search.kind.as_deref())?;
        let area_code = super::area_code(search.area_code)?;
        let pattern = pattern(search.pattern)?;
        let country = search.country.as_deref().filter(|named| !named.is_empty());
        let country = country.unwrap_or(&self.country);
        if !country.eq_ignore_ascii_case(&self.country) {
            return Err(Problem::bad_request(
                "COUNTRY_NOT_SERVED",
                format!("Numbers are bought in {} only", self.country),
            ));
        }
        let mut tx = self.begin(account).await?;
        let eligibility = self.eligibility(&mut tx, account).await?;
        eligibility.map_err(|_| unpaid("search"))?;
        let subaccount = self.working_subaccount(&mut tx, account).await?;
        drop(tx);
        // Who has no subaccount yet looks at what there is for any.
        let asker = subaccount.unwrap_or_else(|| self.twilio.account_sid().to_owned());
        let wanted = Wanted {
            country: &self.country,
            kind,
            area_code: area_code.as_deref(),
            contains: pattern.as_deref(),
            count: search.count,
        };
        let asked = match carrier {
            Carrier::Twilio => self.asked(self.twilio.on_sale(&asker, &wanted)).await?,
            Carrier::Voipms if area_code.is_none() && pattern.is_none() => {
                return Err(Problem::bad_request(
                    "AREA_CODE_REQUIRED",
                    "At VoIP.ms an areaCode or a pattern is needed",
                ));
            }
            Carrier::Voipms => self.asked(self.at_voipms()?.on_sale(&wanted)).await?,
        };
        let mut found = match asked {
            Ok(found) => found,
            // There is no such area, or nothing of that kind in the country.
            Err(error) if error.is_not_found() || is_refused_area(&error) => Vec::new(),
            Err(error) => {
                let why = "Failed to search phone numbers";
                return Err(refused(&error, "SEARCH_ERROR", why));
            }
        };
        found.truncate(search.count.into());
        Ok(found)
    }

    /// What a provider answers while somebody waits: its definite word, or 503 when it has none.
    pub async fn asked<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<Result<T, ClientError>, Problem> {
        let error = match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => return Ok(Ok(answer)),
            Ok(Err(error @ ClientError::Refused { .. })) => return Ok(Err(error)),
            Ok(Err(error)) => mask(&error.to_string()),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(%error, "a provider told an app nothing");
        Err(Problem {
            retry_after: Some(PATIENCE),
            ..Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "PROVIDER_UNAVAILABLE",
                "The phone provider does not answer at the moment, please try again",
            )
        })
    }
}

fn is_refused_area(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { code, .. } if is_about_the_candidate(code))
}

/// A no of the provider's that is not about what was looked for.
pub fn refused(error: &ClientError, code: &'static str, why: &str) -> Problem {
    let error = mask(&error.to_string());
    tracing::error!(%error, "a provider refused what an app asked");
    Problem {
        details: Some(error.into()),
        ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR, code, why)
    }
}

fn kind(named: Option<&str>) -> Result<NumberKind, Problem> {
    let named = named.unwrap_or_default().to_ascii_lowercase();
    match named.replace(['-', '_'], "").as_str() {
        "" | "local" => Ok(NumberKind::Local),
        "tollfree" => Ok(NumberKind::TollFree),
        "mobile" => Ok(NumberKind::Mobile),
        _ => Err(Problem::bad_request(
            "INVALID_NUMBER_TYPE",
            "numberType is local, tollfree or mobile",
        )),
    }
}

fn pattern(text: Option<String>) -> Result<Option<String>, Problem> {
    let text = text.filter(|text| !text.is_empty());
    let is_pattern = |text: &String| {
        let is_good = |one: char| one.is_ascii_alphanumeric() || matches!(one, '*' | '+');
        text.len() <= PATTERN_LENGTH_MAX && text.chars().all(is_good)
    };
    if !text.as_ref().is_none_or(is_pattern) {
        return Err(Problem::bad_request(
            "INVALID_PATTERN",
            "A pattern has at most 16 digits, letters and *",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_in_every_spelling_of_the_clients() {
        for (named, expected) in [
            (None, Some(NumberKind::Local)),
            (Some(""), Some(NumberKind::Local)),
            (Some("local"), Some(NumberKind::Local)),
            (Some("tollfree"), Some(NumberKind::TollFree)),
            (Some("toll-free"), Some(NumberKind::TollFree)),
            (Some("TollFree"), Some(NumberKind::TollFree)),
            (Some("mobile"), Some(NumberKind::Mobile)),
            (Some("satellite"), None),
        ] {
            assert_eq!(kind(named).ok(), expected, "{named:?}");
        }
    }

    #[test]
    fn a_pattern_is_nothing_but_a_pattern() {
        for (text, is_good) in [
            ("415*", true),
            ("TAXI", true),
            ("", true),
            ("4155550123456789*", false),
            ("415&AreaCode=1", false),
            ("415 555", false),
        ] {
            assert_eq!(pattern(Some(text.to_owned())).is_ok(), is_good, "{text}");
        }
    }
}
