//! What apps are told about numbers: one constructor for each notification. README shows them to the apps.
//!
//! Types and fields are stored formats: an old row must parse. Nobody is mailed: an app shows its own users their number.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::NewNotification;

pub const NUMBER_PROVISIONED: &str = "number.provisioned";
pub const NUMBER_FAILED: &str = "number.failed";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberProvisioned {
    pub user_id: String,
    /// As the API names the order, and the number after it.
    pub number_id: Uuid,
    /// E.164.
    pub phone_number: String,
    /// Whether it is the one that the plan includes.
    pub is_included: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberFailed {
    pub user_id: String,
    /// None: telephony as a whole could not be set up.
    pub number_id: Option<Uuid>,
    /// The provider's, or ours, for a program; a finding has more for operators.
    pub code: String,
}

/// A number is theirs, and answers. Once for each number.
pub fn number_provisioned(
    account_id: &str,
    number_id: Uuid,
    phone_number: &str,
    is_included: bool,
) -> NewNotification {
    let data = NumberProvisioned {
        user_id: account_id.to_owned(),
        number_id,
        phone_number: phone_number.to_owned(),
        is_included,
    };
    let occasion = number_id.to_string();
    NewNotification::of(account_id, NUMBER_PROVISIONED, occasion, &data)
}

/// A number, or the telephony that it is part of, was refused for good. Once for an order that was given up; of telephony
/// as a whole when the finding about it is opened, as `occasion` tells: it may have been well in between.
pub fn number_failed(
    account_id: &str,
    number_id: Option<Uuid>,
    code: &str,
    occasion: &str,
) -> NewNotification {
    let data = NumberFailed {
        user_id: account_id.to_owned(),
        number_id,
        code: code.to_owned(),
    };
    NewNotification::of(account_id, NUMBER_FAILED, occasion.to_owned(), &data)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_apps_are_told_is_what_readme_says() {
        let told = number_provisioned("ann", Uuid::nil(), "+14155550100", true);
        assert_eq!(
            told.data,
            json!({
                "userId": "ann", "numberId": Uuid::nil(), "phoneNumber": "+14155550100", "isIncluded": true,
            })
        );
        let told = number_failed("ann", None, "20003", "job");
        assert_eq!(
            told.data,
            json!({ "userId": "ann", "numberId": null, "code": "20003" })
        );
    }
}
