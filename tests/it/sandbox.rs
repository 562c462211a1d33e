//! The sandbox, through real HTTP clients: it is only worth something if it has the providers' habits.

mod billing_invoices;
mod billing_items;
mod billing_payment;
mod client;
mod control;
mod events;
mod faults;
mod idempotency;
mod numbers;
mod shapes;
mod subscriptions;
mod webhooks;
