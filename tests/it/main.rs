//! The service, through HTTP and the real queue on a real Postgres.

mod api;
mod auth;
mod health;
mod http_edge;
mod identity_provider;
mod isolation;
mod openapi;
mod provisioning_api;
mod schema;
mod support;
