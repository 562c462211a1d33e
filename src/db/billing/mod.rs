//! Billing: periods, what is owed for them, and the invoices it is on.

pub mod books;
pub mod charges;
pub mod events;
pub mod explain;
pub mod history;
pub mod invariants;
pub mod invoices;
pub mod ledger;
pub mod parks;
pub mod periods;
pub mod reconcile;
pub mod usage;
