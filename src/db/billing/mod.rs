//! Billing: periods, what is owed for them, and the invoices it is on.

pub mod charges;
pub mod explain;
pub mod history;
pub mod invariants;
pub mod invoices;
pub mod parks;
pub mod periods;
pub mod reconcile;
pub mod usage;
