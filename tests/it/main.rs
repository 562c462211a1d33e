//! The service, through HTTP and the real queue on a real Postgres.

mod cli;
mod config;
mod embedded;
mod fairness;
mod floors;
mod operators;
mod outages;
mod queue;
mod schema;
mod sealed;
mod support;
mod timetable;
