//! The service, through HTTP and the real queue on a real Postgres.

mod sandbox;
mod schema;
mod support;
