//! The service, through HTTP and the real queue on a real Postgres.

mod config;
mod embedded;
mod schema;
mod support;
