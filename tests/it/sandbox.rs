//! The sandbox, through real HTTP clients: it is only worth something if it has the providers' habits.

mod billing_books;
mod billing_changes;
mod billing_faults;
mod billing_invoices;
mod billing_items;
mod billing_money;
mod billing_payment;
mod billing_preview;
mod client;
mod control;
mod events;
mod faults;
mod idempotency;
mod numbers;
mod shapes;
mod subscriptions;
mod webhooks;
