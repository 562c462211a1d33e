//! Logs: text for people, JSON for machines, one line per event, on standard error.
//!
//! Field names: `request_id`, `job.kind`, `job.id`, `job.attempt`, `account.id`. Never a phone number, a message body or a
//! secret: settings hold secrets in a type that prints `***`, errors go through
//! [`tollkeeper_jobs::mask`] before they are logged or stored.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Log this process from now on. A second call changes nothing: the first one's format stays.
pub fn start(
    format: LogFormat,
    filter: &str,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    // Standard output is for what a command prints.
    let lines = fmt::layer().with_writer(io::stderr);
    let _first_or_not = match format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => {
            let lines = lines
                .with_target(false)
                .with_ansi(io::stderr().is_terminal());
            registry.with(lines).try_init()
        }
    };
    Ok(())
}
