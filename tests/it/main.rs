//! The service, through HTTP and the real queue on a real Postgres.

mod api;
mod auth;
mod callbacks;
mod cli;
mod config;
mod embedded;
mod fairness;
mod floors;
mod health;
mod http_edge;
mod identity_provider;
mod isolation;
mod openapi;
mod operators;
mod outages;
mod provisioning_api;
mod queue;
mod receiver;
mod sandbox;
mod schema;
mod sealed;
mod signatures;
mod slow_clients;
mod support;
mod timetable;
mod voipms;
