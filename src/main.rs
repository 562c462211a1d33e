//! The program `tollkeeper`: see `cli` for its commands.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // One TLS provider for Postgres and for HTTP; before the first connection of either.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing else installs a TLS provider");
    tollkeeper::cli::main().await
}
