//! The service, through HTTP and the real queue on a real Postgres.

mod journal;
mod payloads;
mod provisioning;
mod schema;
mod support;
