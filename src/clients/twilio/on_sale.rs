//! Numbers on sale. Looking at them reserves nothing.

use serde::Deserialize;
use serde_json::Value;

use super::{API, Twilio};
use crate::clients::ClientError;

/// The page of Twilio's own search.
const PAGE: u16 = 50;

/// A kind of number, as Twilio divides them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberKind {
    #[default]
    Local,
    TollFree,
    Mobile,
}

impl NumberKind {
    fn page(self) -> &'static str {
        match self {
            NumberKind::Local => "Local.json",
            NumberKind::TollFree => "TollFree.json",
            NumberKind::Mobile => "Mobile.json",
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// ISO 3166.
    pub country: &'a str,
    pub kind: NumberKind,
    pub area_code: Option<&'a str>,
    /// Digits and letters somewhere in the number, `*` for any one of them.
    pub contains: Option<&'a str>,
    /// So many at most.
    pub count: u16,
}

/// A number that can be bought at this moment.
#[derive(Clone, Deserialize)]
pub struct OnSale {
    /// E.164.
    pub phone_number: String,
    /// As people of the country write it.
    #[serde(default)]
    pub friendly_name: Option<String>,
    #[serde(default)]
    pub locality: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub postal_code: Option<String>,
    #[serde(default)]
    pub capabilities: Value,
}

impl Twilio {
    /// Numbers on sale that take calls and text messages. Twilio knows no such page (404) where a country has none of the
    /// kind.
    pub async fn on_sale(
        &self,
        account: &str,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<OnSale>, ClientError> {
        #[derive(Deserialize)]
        struct Page {
            available_phone_numbers: Vec<OnSale>,
        }
        let count = wanted.count.to_string();
        let mut query = vec![
            ("VoiceEnabled", "true"),
            ("SmsEnabled", "true"),
            ("PageSize", &count),
        ];
        query.extend(wanted.area_code.map(|code| ("AreaCode", code)));
        query.extend(wanted.contains.map(|pattern| ("Contains", pattern)));
        let path = [
            API,
            "Accounts",
            account,
            "AvailablePhoneNumbers",
            wanted.country,
            wanted.kind.page(),
        ];
        let page: Page = self.get(&path, &query).await?;
        Ok(page.available_phone_numbers)
    }

    /// Local numbers on sale, as E.164: the candidates of an order.
    pub async fn numbers_on_sale(
        &self,
        account: &str,
        country: &str,
        area_code: Option<&str>,
    ) -> Result<Vec<String>, ClientError> {
        let wanted = Wanted {
            country,
            area_code,
            count: PAGE,
            ..Wanted::default()
        };
        let numbers = self.on_sale(account, &wanted).await?;
        Ok(numbers
            .into_iter()
            .map(|number| number.phone_number)
            .collect())
    }
}
