//! The service, through HTTP and the real queue on a real Postgres.

mod callbacks;
mod config;
mod embedded;
mod fairness;
mod operators;
mod outages;
mod queue;
mod receiver;
mod schema;
mod signatures;
mod slow_clients;
mod support;
mod timetable;
mod voipms;
