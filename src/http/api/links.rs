//! Addresses we hand out.

use std::fmt::Write;

use crate::http::auth::AccountId;

/// Where Twilio asks what to do with a call to this account's number.
pub fn voice_webhook(public_base_url: &str, account: &AccountId) -> String {
    format!(
        "{public_base_url}/api/twilio/voice/{}",
        segment(account.as_str())
    )
}

/// Where an app asks how its order stands.
pub fn twilio_config(account: &AccountId) -> String {
    format!(
        "/api/subscription/twilio-config?userId={}",
        segment(account.as_str())
    )
}

/// Where an app asks whether its subaccount is there.
pub fn subaccount(account: &AccountId) -> String {
    format!(
        "/api/twilio/subaccount/provision?userId={}",
        segment(account.as_str())
    )
}

/// A text as one segment of a path or one value of a query (RFC 3986: all but unreserved escaped).
fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_user_id_is_one_segment_of_the_address() {
        for (id, address) in [
            ("user-1", "https://x.test/api/twilio/voice/user-1"),
            ("a/b c", "https://x.test/api/twilio/voice/a%2Fb%20c"),
            ("ü?#%", "https://x.test/api/twilio/voice/%C3%BC%3F%23%25"),
        ] {
            let account = AccountId::parse(id).unwrap();
            assert_eq!(voice_webhook("https://x.test", &account), address);
        }
    }
}
