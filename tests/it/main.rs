//! The service, through HTTP and the real queue on a real Postgres.

mod cli;
mod config;
mod embedded;
mod floors;
mod schema;
mod sealed;
mod support;
