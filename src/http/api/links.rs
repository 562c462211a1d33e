//! Addresses we hand out.

use crate::{clients::twilio::Urls, http::auth::AccountId};

/// Where Twilio asks what to do with a call to this account's number.
pub fn voice_webhook(public_base_url: &str, account: &AccountId) -> String {
    Urls::of_account(public_base_url, account.as_str()).voice
}

/// Where an app asks how its order stands.
pub fn twilio_config(account: &AccountId) -> String {
    with_user("/api/subscription/twilio-config", account)
}

/// Where an app asks whether its subaccount is there.
pub fn subaccount(account: &AccountId) -> String {
    with_user("/api/twilio/subaccount/provision", account)
}

/// Where an app sees a user's numbers.
pub fn numbers(account: &AccountId) -> String {
    with_user("/api/twilio/numbers", account)
}

/// The same, for clients of the phone system.
pub fn phone_numbers(account: &AccountId) -> String {
    with_user("/api/phone/phone-numbers", account)
}

/// Where an app asks about a user's one number.
pub fn phone_details(account: &AccountId) -> String {
    with_user("/api/phone/details", account)
}

fn with_user(path: &str, account: &AccountId) -> String {
    let user: String = form_urlencoded::byte_serialize(account.as_str().as_bytes()).collect();
    format!("{path}?userId={user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_user_id_fits_into_an_address() {
        for (id, voice, config) in [
            ("user-1", "voice/user-1", "userId=user-1"),
            ("a/b c", "voice/a%2Fb%20c", "userId=a%2Fb+c"),
            ("ü?#%", "voice/%C3%BC%3F%23%25", "userId=%C3%BC%3F%23%25"),
        ] {
            let account = AccountId::parse(id).unwrap();
            let url = format!("https://x.test/api/twilio/{voice}");
            assert_eq!(voice_webhook("https://x.test", &account), url);
            assert!(twilio_config(&account).ends_with(config));
        }
    }
}
