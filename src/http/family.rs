//! Which shape of refusal a path has: a matter of the path alone.

/// Which shape of body a path has always answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `{"success":false,"error":{"code","message","statusCode"},"message","timestamp"}`
    Enveloped,
    /// `{"success":false,"error":"text","code"}`
    Flat,
    /// `{"success":false,"error":"Bad Request","message":"text","code"}`: the status in words, and the sentence below it.
    Titled,
    /// The same body, but its clients know one sentence for every kind of missing identity.
    Tenant,
    /// `{"error":"text","code"}`, with one sentence for every kind of missing identity, and one for our own faults.
    Bare,
}

/// What stands where `GET /api/subscription/:userId` has the user: never a user's id.
pub const SUBSCRIPTION_WORDS: [&str; 16] = [
    "billing-history",
    "check-limits",
    "clear-cache",
    "provision-twilio",
    "release",
    "renew",
    "reserve",
    "settle",
    "status",
    "time-zone",
    "track-usage",
    "twilio-config",
    "usage",
    "usage-corrections",
    "usage-stats",
    "validate-access",
];

/// Below a prefix that is enveloped otherwise.
const BARE_PHONE_PATHS: [&str; 4] = [
    "/api/phone/provision",
    "/api/phone/release",
    "/api/phone/details",
    "/api/phone/search",
];

/// Calls and messages of the RepX products, beside the subaccounts of another one.
const TITLED_PATHS: [&str; 4] = [
    "/api/twilio/calls",
    "/api/twilio/make-call",
    "/api/twilio/send-sms",
    "/api/twilio/sms",
];

impl Family {
    /// Of a request path, without its query.
    pub fn of(path: &str) -> Family {
        if TITLED_PATHS.contains(&path) {
            return Family::Titled;
        }
        if path.starts_with("/api/twilio/recordings/") {
            return Family::Flat;
        }
        if path.starts_with("/api/twilio/") || path.starts_with("/api/sms/") {
            return Family::Tenant;
        }
        let is_summary = path.starts_with("/api/calls/") && path.ends_with("/summary");
        let is_bare = path.starts_with("/api/billing/") || BARE_PHONE_PATHS.contains(&path);
        if is_summary || is_bare {
            return Family::Bare;
        }
        let user_id = path
            .strip_prefix("/api/subscription/")
            .filter(|rest| !rest.is_empty() && !rest.contains('/'));
        match user_id {
            Some(word) if !SUBSCRIPTION_WORDS.contains(&word) => Family::Flat,
            _ => Family::Enveloped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_alone_decides_the_shape() {
        for (path, family) in [
            ("/api/subscription/provision-twilio", Family::Enveloped),
            ("/api/subscription/twilio-config", Family::Enveloped),
            ("/api/subscription/usage-stats", Family::Enveloped),
            ("/api/subscription/", Family::Enveloped),
            ("/api/subscription/user-1", Family::Flat),
            ("/api/subscription/user-1/more", Family::Enveloped),
            ("/api/twilio/numbers", Family::Tenant),
            ("/api/billing/usage", Family::Bare),
            ("/api/billing", Family::Enveloped),
            ("/api/twilio/make-call", Family::Titled),
            ("/api/twilio/recordings/CA1", Family::Flat),
            ("/api/sms/send", Family::Tenant),
            ("/api/phone/sms/send", Family::Enveloped),
            ("/api/phone/search", Family::Bare),
            ("/api/phone/phone-numbers/search", Family::Enveloped),
            ("/api/calls/CA1/summary", Family::Bare),
            ("/api/calls/CA1/transcription", Family::Enveloped),
            ("/nowhere", Family::Enveloped),
        ] {
            assert_eq!(Family::of(path), family, "{path}");
        }
    }
}
