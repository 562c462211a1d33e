//! The service, through HTTP and the real queue on a real Postgres.

mod callbacks;
mod cli;
mod config;
mod embedded;
mod fairness;
mod floors;
mod operators;
mod outages;
mod queue;
mod receiver;
mod schema;
mod sealed;
mod signatures;
mod slow_clients;
mod support;
mod timetable;
mod voipms;
