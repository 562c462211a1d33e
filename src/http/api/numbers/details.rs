//! A number as its provider describes it at this moment.

use poem_openapi::Object;

use super::{Shared, not_found, search::refused};
use crate::{
    clients::ClientError,
    db::overview::PhoneNumber,
    http::{
        api::number_view::Capabilities,
        problem::{Problem, timestamp},
    },
};

/// The primary number, as its provider describes it at this moment.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct PhoneDetails {
    /// E.164.
    phone_number: String,
    /// `PN…`; at VoIP.ms the number's ten digits.
    sid: String,
    friendly_name: Option<String>,
    voice_url: Option<String>,
    sms_url: Option<String>,
    status_callback: Option<String>,
    capabilities: Capabilities,
    date_created: Option<String>,
    date_updated: Option<String>,
}

impl Shared {
    /// A number at Twilio, in this subaccount.
    pub async fn described(
        &self,
        row: PhoneNumber,
        account: &str,
    ) -> Result<PhoneDetails, Problem> {
        let asked = self.asked(self.twilio.number(account, &row.number_ref));
        let there = asked.await?.map_err(|error| not_described(&error))?;
        let there = there.ok_or_else(not_found)?;
        Ok(PhoneDetails {
            phone_number: there.phone_number,
            sid: there.sid,
            friendly_name: row.friendly_name,
            voice_url: there.voice_url,
            sms_url: there.sms_url,
            status_callback: there.status_callback,
            capabilities: Capabilities::of(Some(&there.capabilities)),
            date_created: there.date_created.map(timestamp),
            date_updated: there.date_updated.map(timestamp),
        })
    }

    /// A number at VoIP.ms, without the URL that is told of its messages, which holds a secret.
    pub async fn described_by_voipms(&self, row: PhoneNumber) -> Result<PhoneDetails, Problem> {
        let asked = self.asked(self.at_voipms()?.did(&row.phone_number));
        let there = asked.await?.map_err(|error| not_described(&error))?;
        let there = there.ok_or_else(not_found)?;
        Ok(PhoneDetails {
            capabilities: Capabilities::of(Some(&there.capabilities())),
            phone_number: there.phone_number,
            sid: row.number_ref,
            friendly_name: row.friendly_name,
            voice_url: None,
            sms_url: None,
            status_callback: None,
            date_created: row.purchased_at.map(timestamp),
            date_updated: None,
        })
    }
}

fn not_described(error: &ClientError) -> Problem {
    let why = "Failed to fetch phone number details";
    refused(error, "DETAILS_ERROR", why)
}
