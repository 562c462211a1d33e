//! Numbers on sale at Twilio.

use serde::Deserialize;

use super::{API, Twilio};
use crate::clients::{
    ClientError,
    on_sale::{NumberKind, OnSale, Wanted},
};

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
            page(wanted.kind),
        ];
        let page: Page = self.get(&path, &query).await?;
        Ok(page.available_phone_numbers)
    }
}

fn page(kind: NumberKind) -> &'static str {
    match kind {
        NumberKind::Local => "Local.json",
        NumberKind::TollFree => "TollFree.json",
        NumberKind::Mobile => "Mobile.json",
    }
}
