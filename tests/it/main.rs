//! The service, through HTTP and the real queue on a real Postgres.

mod api;
mod auth;
mod isolation;
mod openapi;
mod schema;
mod support;
