//! The sandbox, through real HTTP clients: it is only worth something if it has the providers' habits.

mod client;
mod faults;
mod idempotency;
mod numbers;
mod subscriptions;
mod webhooks;
