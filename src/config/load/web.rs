//! Settings of what is served, and of who is told.

use std::time::Duration;

use crate::config::{HttpConfig, NotifyConfig, RateLimitConfig, reader::Reader};

/// Shorter than a run may take.
const NOTIFY_TIMEOUT_MAX: Duration = Duration::from_secs(60);

pub(super) fn http(reader: &mut Reader<'_>) -> HttpConfig {
    HttpConfig {
        header_deadline: reader.duration("HTTP_HEADER_DEADLINE", "5s"),
        body_deadline: reader.duration("HTTP_BODY_DEADLINE", "10s"),
        connections_max: reader.count("HTTP_CONNECTIONS_MAX", 1024),
        connections_per_address_max: reader.count("HTTP_CONNECTIONS_PER_ADDRESS_MAX", 64),
        group_max: reader.count("INGEST_GROUP_MAX", 64),
        store_deadline: reader.duration("INGEST_STORE_DEADLINE", "5s"),
        cors_origins: reader
            .list("CORS_ORIGINS")
            .into_iter()
            .map(str::to_owned)
            .collect(),
    }
}

/// The window is in bare milliseconds: its name and its unit are those of the services whose place
/// this one takes.
pub(super) fn rate_limits(reader: &mut Reader<'_>) -> RateLimitConfig {
    let window = reader.value(
        "RATE_LIMIT_WINDOW",
        60_000,
        "a number of milliseconds from 1000 to 86400000",
        |window| (1_000..=86_400_000).contains(window),
    );
    let mut requests = |name, default| {
        let wanted = "a number from 0 (no limit) to 1000000";
        reader.value(name, default, wanted, |max| *max <= 1_000_000)
    };
    RateLimitConfig {
        window: Duration::from_millis(window),
        requests_max: requests("RATE_LIMIT_MAX_REQUESTS", 300),
        phone_per_hour_max: requests("RATE_LIMIT_PHONE_PER_HOUR", 10),
        billing_per_hour_max: requests("RATE_LIMIT_BILLING_PER_HOUR", 100),
    }
}

pub(super) fn notify(reader: &mut Reader<'_>) -> NotifyConfig {
    let timeout = reader.duration("NOTIFY_TIMEOUT", "15s");
    if timeout > NOTIFY_TIMEOUT_MAX || timeout.is_zero() {
        let what = format!("is not between 1ms and {}s", NOTIFY_TIMEOUT_MAX.as_secs());
        reader.fault("NOTIFY_TIMEOUT", what);
    }
    NotifyConfig {
        allow_private: reader.value("NOTIFY_ALLOW_PRIVATE", false, "true or false", |_| true),
        timeout,
    }
}
