//! Settings of VoIP.ms: its API, and what its callbacks are believed by.

use secrecy::ExposeSecret;

use crate::config::{VoipmsApiConfig, VoipmsConfig, reader::Reader};

const CALLBACK_TOKEN_MIN: usize = 24;

pub(super) fn voipms(reader: &mut Reader<'_>) -> VoipmsConfig {
    let callback_tokens = reader.secrets("VOIPMS_CALLBACK_TOKENS");
    if callback_tokens
        .iter()
        .any(|token| token.expose_secret().len() < CALLBACK_TOKEN_MIN)
    {
        let what = format!(
            "a token is shorter than {CALLBACK_TOKEN_MIN} characters: `openssl rand -hex 24` makes one"
        );
        reader.fault("VOIPMS_CALLBACK_TOKENS", what);
    }
    VoipmsConfig {
        api: api(reader),
        callback_tokens,
        callback_addresses: reader.values("VOIPMS_CALLBACK_ADDRESSES", "an IP address"),
    }
}

/// None: nothing is set.
fn api(reader: &mut Reader<'_>) -> Option<VoipmsApiConfig> {
    let username = reader.optional("VOIPMS_USERNAME").map(str::to_owned);
    let password = reader.optional("VOIPMS_API_PASSWORD");
    let url = reader.base_url("VOIPMS_API_BASE", "https://voip.ms/api/v1/rest.php");
    let wanted = "a whole number";
    let requests_per_second = reader.value("VOIPMS_REQUESTS_PER_SECOND", 2, wanted, |_| true);
    let pop = reader.value("VOIPMS_POP", 0, wanted, |_| true);
    let routing = reader.text("VOIPMS_ROUTING", "sys:noservice");
    match (username, password) {
        (Some(username), Some(password)) => Some(VoipmsApiConfig {
            username,
            password: password.into(),
            url,
            requests_per_second,
            pop: (pop > 0).then_some(pop),
            routing,
        }),
        (None, None) => None,
        (Some(_), None) => {
            let what = "is not set, and VOIPMS_USERNAME is: set both or neither";
            reader.fault("VOIPMS_API_PASSWORD", what.to_owned());
            None
        }
        (None, Some(_)) => {
            let what = "is not set, and VOIPMS_API_PASSWORD is: set both or neither";
            reader.fault("VOIPMS_USERNAME", what.to_owned());
            None
        }
    }
}
