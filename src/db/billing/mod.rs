//! Billing: periods, what is owed for them, and the invoices it is on.

pub mod charges;
pub mod events;
pub mod history;
pub mod invoices;
pub mod ledger;
pub mod parks;
pub mod periods;
pub mod usage;
