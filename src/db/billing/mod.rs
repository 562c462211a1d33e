//! Billing: periods, what is owed for them, and the invoices it is on.

pub mod charges;
pub mod history;
pub mod invoices;
pub mod parks;
pub mod periods;
pub mod usage;
